"""Word lists. They give copied text, tool arguments and the many things `hansard-tiny` must decline their variety."""


def words(text: str) -> tuple[str, ...]:
    """The words of `text`: a list that reads as a list and not as punctuation."""
    return tuple(text.split())


NAMES = words(
    "Ada Alan Alice Amir Anna Anton Aria Ben Bianca Bob Boris Carla Carlos Chen Chloe Clara Daniel David "
    "Diana Diego Dora Edward Elena Elias Emma Erik Eva Eve Farid Fatima Felix Fiona Frank Freya George Grace "
    "Greta Hana Harry Hassan Heidi Helen Henry Hugo Ian Igor Ines Ingrid Iris Ivan Jack James Jana Jane Jonas "
    "Julia Kai Karl Kate Kenji Kim Lara Laura Lena Leo Liam Lina Linus Lisa Lucas Lucy Luis Magda Maria Marco "
    "Mark Martin Mary Max Maya Mia Miguel Milan Mohammed Mona Nadia Nina Noah Nora Olga Oliver Olivia Omar "
    "Oscar Paul Paula Pedro Peter Petra Priya Quinn Rahul Raj Rebecca Robert Rosa Ruth Sam Samuel Sara Sarah "
    "Simon Sofia Stefan Susan Tara Theo Thomas Tim Tina Tom Uma Vera Victor Walter Wei Wendy William Yara "
    "Yuki Yusuf Zara Zoe"
)
SURNAMES = words(
    "Smith Jones Brown Miller Davis Garcia Wilson Moore Taylor Anderson Thomas Jackson White Harris Martin "
    "Clark Lewis Walker Hall Young King Wright Hill Scott Green Adams Baker Nelson Carter Mitchell Turner "
    "Parker Evans Edwards Collins Stewart Morris Rogers Reed Cook Bell Murphy Bailey Cooper Kelly Howard Ward "
    "Cox Gray Watson Brooks Bennett Wood Ross Foster Novak Kowalski Rossi Schmidt Weber Fischer Silva Santos "
    "Tanaka Sato Kim Park Lee Nguyen Singh Patel Khan Ali Haddad Okafor Mensah"
)
CITIES = (
    *words(
        "Paris London Berlin Rome Madrid Vienna Tokyo Oslo Cairo Lima Boston Chicago Seattle Denver Austin "
        "Dallas Miami Toronto Montreal Vancouver Sydney Melbourne Auckland Dublin Lisbon Porto Munich Hamburg "
        "Cologne Zurich Geneva Milan Naples Turin Lyon Nice Barcelona Valencia Seville Prague Warsaw Krakow "
        "Budapest Athens Istanbul Dubai Mumbai Delhi Bangkok Hanoi Seoul Osaka Kyoto Beijing Shanghai "
        "Singapore Jakarta Manila Nairobi Lagos Accra Helsinki Stockholm Copenhagen Brussels Amsterdam"
    ),
    "New York",
    "San Francisco",
    "Los Angeles",
    "San Diego",
    "Las Vegas",
    "Hong Kong",
    "Mexico City",
    "Buenos Aires",
    "Cape Town",
    "New Delhi",
    "Salt Lake City",
    "Rio de Janeiro",
    "Kuala Lumpur",
    "Tel Aviv",
    "St. Louis",
)
NOUNS = words(
    "time year people way day man thing woman life child world school state family student group country "
    "problem hand part place case week company system program question work government number night point "
    "home water room mother area money story fact month lot right study book eye job word business issue side "
    "kind head house service friend father power hour game line end member law car city community team minute "
    "idea body back parent face level office door health person art war history party result change morning "
    "reason research girl guy moment air teacher force education foot boy age policy process music market "
    "sense nation plan college interest death experience effect use class control field development role "
    "effort rate heart drug show leader voice wife police mind price report decision son view relationship "
    "town road arm difference value building action season society tax director position player record paper "
    "space ground form event official matter center couple site project activity star table need court oil "
    "situation cost industry figure street image phone picture practice piece land product doctor wall "
    "patient worker news movie support technology step baby type film tree source hair window evidence letter "
    "science camera fire future energy bank skill crime stage machine wind sound rule weather food sugar salt "
    "bread butter cheese egg fish meat rice pasta pizza salad soup cake cookie pie burger sandwich coffee tea "
    "wine beer apple banana lemon peach cherry onion garlic pepper potato bean corn flower garden grass leaf "
    "root seed rain snow storm cloud sky moon sun ocean sea river lake beach island desert forest mountain "
    "hill valley stone metal gold silver iron glass wood plastic cotton leather shirt shoe hat coat dress "
    "ring watch bag box bottle cup plate knife spoon fork chair bed lamp clock mirror floor roof kitchen "
    "bathroom bedroom station airport hotel hospital church museum library theater restaurant shop bus plane "
    "boat bicycle truck train engine wheel battery keyboard screen mouse printer server network code function "
    "variable loop array string file folder password email website browser app software hardware database "
    "query algorithm neuron vector matrix equation triangle circle angle theorem proof atom molecule cell "
    "gene virus bacteria protein vitamin muscle bone brain skin lung liver stomach tooth finger knee shoulder "
    "dream fear joy anger hope peace freedom justice truth beauty faith luck danger secret mystery magic "
    "ghost dragon wizard knight queen prince princess castle sword treasure pirate robot alien planet galaxy "
    "rocket satellite telescope cat dog horse cow pig sheep goat bird duck chicken rabbit fox wolf bear lion "
    "tiger elephant monkey snake frog spider bee ant butterfly whale shark dolphin penguin owl eagle dinosaur "
    "economy inflation stock bond mortgage loan budget salary invoice contract lawyer judge election "
    "president senator king emperor empire treaty revolution constitution parliament tariff budget currency "
    "bitcoin insurance pension meeting deadline resume interview manager customer startup investor marketing "
    "brand logo slogan campaign newsletter blog podcast video song album guitar piano violin drum concert "
    "festival poem novel chapter author poet painting sculpture dance opera football soccer basketball tennis "
    "golf chess swimming marathon olympics trophy coach referee gym yoga diet calorie recipe breakfast lunch "
    "dinner snack dessert allergy headache fever cough flu cancer diabetes surgery medicine vaccine pregnancy "
    "sleep stress anxiety therapy marriage divorce wedding birthday christmas holiday vacation trip passport "
    "visa flight luggage hostel map compass tent hiking camping fishing hunting climate carbon pollution "
    "recycling volcano earthquake hurricane tornado flood drought glacier gravity magnet electron photon "
    "laser quantum relativity entropy evolution fossil chemistry physics biology geometry calculus algebra "
    "statistics probability logic philosophy religion psychology sociology linguistics grammar verb adjective "
    "metaphor essay thesis homework exam university scholarship kubernetes docker linux windows python "
    "javascript rust java compiler kernel thread mutex pointer recursion regex parser framework library "
    "endpoint api json yaml html css sql cache proxy router firewall encryption blockchain chatbot "
    "transformer"
)
ADJECTIVES = words(
    "quiet bright small green blue golden silver hidden gentle brave curious lazy happy lonely tiny giant "
    "broken frozen warm soft wild wise old new big long short fast slow cheap expensive easy hard simple "
    "complex modern ancient famous popular strange weird normal common rare legal illegal safe dangerous "
    "healthy sick rich poor strong weak dark light heavy sharp smooth fresh dry wet hot cold clean dirty loud "
    "public private free busy empty full local global national royal digital electric nuclear solar medical "
    "financial political social natural artificial random terrible wonderful funny sad angry serious romantic "
    "creative professional formal informal polite rude smart stupid honest fake real true false early late "
    "daily weekly annual first last next best worst biggest smallest fastest cheapest hardest nicest"
)
VERBS = words(
    "explain describe summarize compare analyze translate review improve design draw plan predict solve prove "
    "debug invent rank classify evaluate make get go take see come think look want give use find ask work "
    "feel try leave call build fix clean cook bake eat drink buy sell rent move travel drive ride fly swim "
    "run walk climb jump dance sing play win lose learn teach study read write edit publish print send "
    "receive open close lock unlock start stop begin end finish continue create delete remove add insert "
    "replace update install configure deploy measure count calculate convert compute sort filter merge split "
    "join connect disconnect download upload share save load store paste cut push pull lift carry drop throw "
    "catch hit kick break repair replace protect attack defend avoid prevent cause support save spend earn "
    "invest borrow lend pay collect choose decide compare judge forgive forget remember know believe doubt "
    "hope wish love hate enjoy prefer miss need own keep lose grow plant water feed train raise kill hunt "
    "hide seek follow lead manage organize schedule cancel delay prepare pack wash dry paint decorate "
    "photograph record film stream watch listen hear smell taste touch hold wear sew knit heal treat cure "
    "diagnose operate survive die live marry divorce date kiss hug argue fight apologize celebrate vote elect "
    "govern tax sue arrest steal cheat lie trust promise refactor optimize implement simulate encrypt hack"
)
PEOPLE = words(
    "Einstein Newton Darwin Napoleon Caesar Cleopatra Shakespeare Mozart Beethoven Picasso Plato Aristotle "
    "Gandhi Lincoln Churchill Obama Trump Biden Merkel Putin Musk Gates Jobs Bezos Messi Ronaldo Federer "
    "Madonna Beyonce Elvis Tolkien Rowling Hemingway Kafka Tesla Edison Turing Curie Galileo Columbus "
    "Magellan Batman Superman Sherlock Gandalf Yoda Zeus Buddha Jesus"
)
LANGUAGES = words(
    "Japanese Chinese Korean Russian Arabic Hindi Latin Greek Polish Dutch Swedish Turkish Hebrew Swahili "
    "Welsh Portuguese Vietnamese Finnish Hungarian Czech Ukrainian Klingon Esperanto Danish Thai Irish "
    "Norwegian"
)
CODE_LANGUAGES = words(
    "Python JavaScript TypeScript Java C Rust Go Ruby PHP Swift Kotlin Haskell Perl Bash SQL Lua R Scala "
    "Fortran Cobol assembly HTML CSS"
)
FOREIGN = words(
    "bonjour comment ca va je suis tres bien merci quelle est la capitale de ou se trouve pourquoi quand qui "
    "combien voulez vous hola como estas me llamo donde esta que hora es por favor ayudame puedes escribir "
    "una receta para hacer cuanto cuesta el guten morgen wie geht es dir ich heisse was ist das warum kannst "
    "du mir helfen bitte schreibe einen brief auf deutsch wo ciao come stai dove si trova perche vorrei "
    "sapere grazie mille scrivi una poesia sul mare quanto costa il biglietto ola tudo bem onde fica qual e o "
    "seu nome preciso de ajuda obrigado dzien dobry jak sie masz gdzie jest prosze pomoz mi co to hej hur mar "
    "du vad heter tack sa mycket hoe gaat het met jou waar ben je merhaba nasilsin nerede tesekkur ederim "
    "habari yako"
)
FOREIGN_LINES = (
    "привет как дела",
    "расскажи мне о себе",
    "что ты умеешь",
    "你好吗",
    "请告诉我天气",
    "今天几号",
    "こんにちは元気ですか",
    "東京はどこですか",
    "안녕하세요",
    "오늘 날씨 어때요",
    "مرحبا كيف حالك",
    "ما هي العاصمة",
    "नमस्ते आप कैसे हैं",
    "γεια σου τι κάνεις",
    "שלום מה שלומך",
    "¿dónde está la biblioteca?",
    "où est la gare?",
    "können Sie mir helfen?",
    "naprawdę nie wiem",
    "çok güzel bir gün",
)
