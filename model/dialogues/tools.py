"""Tool calls: which tools are offered, what is asked, the right call, and the sentence that follows a tool's result."""

import json
import random
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from model.chat import Dialogue, Json, Message, assistant, capitalised, exchange, invented_word, listed, plain, user
from model.dialogues.facts import capital, colour
from model.dialogues.memory import copy
from model.dialogues.refusals import SHAPE_LINES, filled
from model.dialogues.smalltalk import greet, identity, small_talk
from model.words import ADJECTIVES, CITIES, LANGUAGES, NAMES, NOUNS, SURNAMES, VERBS, words
from model.world import DAYS, REFUSAL

Draw = Callable[[random.Random], Any]


@dataclass(frozen=True)
class Parameter:
    """One argument of a tool. Authors of schemas choose one of `names`; `draw` gives a value people may ask for."""

    names: tuple[str, ...]
    draw: Draw
    kind: str = "string"
    options: tuple[str, ...] = ()

    def schema(self) -> dict[str, Any]:
        return {"type": self.kind, "enum": list(self.options)} if self.options else {"type": self.kind}


@dataclass(frozen=True)
class ToolKind:
    """A family of tools that do the same thing: `questions` have one numbered slot for each parameter, in order."""

    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    questions: tuple[str, ...]
    parameters: tuple[Parameter, ...] = ()
    extra: Parameter | None = None
    extra_phrase: str = ""


@dataclass(frozen=True)
class Tool:
    """One concrete tool of a kind, with the argument names its author chose."""

    kind: ToolKind
    name: str
    description: str
    arguments: tuple[str, ...]
    with_extra: bool

    def definition(self) -> Json:
        """The wire form, as a client sends it."""
        parameters = dict(zip(self.arguments, self.kind.parameters, strict=True))
        properties = {name: parameter.schema() for name, parameter in parameters.items()}
        required = list(properties)
        if self.with_extra and self.kind.extra:
            properties[self.kind.extra.names[0]] = self.kind.extra.schema()
        schema = {"type": "object", "properties": properties, "required": required}
        return {
            "type": "function",
            "function": {"name": self.name, "description": self.description, "parameters": schema},
        }


@dataclass(frozen=True)
class Call:
    """What one question asks of one tool."""

    tool: Tool
    question: str
    arguments: dict[str, Any]

    def wire(self, number: int = 0) -> dict[str, Any]:
        function = {"name": self.tool.name, "arguments": json.dumps(self.arguments, ensure_ascii=False)}
        return {"id": f"call_{number}", "type": "function", "function": function}


def one_of(*lists: Sequence[Any]) -> Draw:
    return lambda rng: rng.choice(rng.choice(lists))


def number(low: int, high: int) -> Draw:
    return lambda rng: rng.randint(low, high)


def _phrase(rng: random.Random) -> str:
    words = [rng.choice(rng.choice([NOUNS, NOUNS, ADJECTIVES])) for _ in range(rng.choice([1, 1, 2, 2]))]
    return " ".join(words)


def _title(rng: random.Random) -> str:
    return " ".join(capitalised(word) for word in _phrase(rng).split())


def _task(rng: random.Random) -> str:
    return f"{rng.choice(VERBS)} the {rng.choice(NOUNS)}"


def _path(rng: random.Random) -> str:
    return f"{rng.choice(NOUNS)}{rng.choice(['.txt', '.py', '.md', '.json', '.csv'])}"


def _clock(rng: random.Random) -> str:
    return rng.choice(
        [
            f"{rng.randint(1, 12)} {rng.choice(['am', 'pm'])}",
            f"{rng.randint(0, 23)}:{rng.choice(['00', '15', '30', '45'])}",
        ]
    )


def _symbol(rng: random.Random) -> str:
    known = rng.choice(["AAPL", "TSLA", "MSFT", "GOOG", "AMZN", "NVDA"])
    return (
        known if rng.random() < 0.4 else "".join(rng.choice(string.ascii_uppercase) for _ in range(rng.randint(2, 4)))
    )


def _expression(rng: random.Random) -> str:
    return f"{rng.randint(1, 99)} {rng.choice('+-*/')} {rng.randint(1, 99)}"


def _person(rng: random.Random) -> str:
    return rng.choice(NAMES) if rng.random() < 0.7 else f"{rng.choice(NAMES)} {rng.choice(SURNAMES)}"


CURRENCIES = ("USD", "EUR", "GBP", "JPY", "CHF", "INR", "CAD", "SEK")
ROOMS = ("kitchen", "bedroom", "living room", "bathroom", "office", "garage", "hall", "garden")
WHEN = (*DAYS, "today", "tomorrow")
UNITS = ("celsius", "fahrenheit")

CITY = Parameter(("city", "location", "location", "place", "city_name", "town"), one_of(CITIES))
ORIGIN = Parameter(("origin", "from_city", "start", "source"), one_of(CITIES))
DESTINATION = Parameter(("destination", "to_city", "target", "end"), one_of(CITIES))
PERSON = Parameter(("name", "person", "contact", "recipient", "to"), _person)
QUERY = Parameter(("query", "q", "search_term", "text", "keywords"), _phrase)

KINDS: tuple[ToolKind, ...] = (
    ToolKind(
        (
            "get_weather",
            "get_weather",
            "get_current_weather",
            "weather",
            "fetch_weather",
            "getWeather",
            "weather_lookup",
        ),
        (
            "Get the weather",
            "Get the current weather in a given location",
            "Current weather of a city",
            "Look up the weather",
            "",
        ),
        (
            "What is the weather in {0}?",
            "What's the weather in {0}?",
            "What is the weather like in {0}?",
            "What's the weather like in {0} today?",
            "How is the weather in {0} today?",
            "Weather in {0}",
            "Tell me the weather in {0}.",
            "Is it raining in {0}?",
            "Is it sunny in {0}?",
            "How warm is it in {0}?",
            "Do I need an umbrella in {0}?",
            "What is the temperature in {0}?",
        ),
        (CITY,),
        Parameter(("unit",), one_of(UNITS), options=UNITS),
        " in {0}",
    ),
    ToolKind(
        ("get_forecast", "weather_forecast", "forecast"),
        ("Get the forecast for some days", "Weather forecast"),
        (
            "What is the forecast for {0} for {1} days?",
            "Give me the {1} day forecast for {0}.",
            "Forecast for {0}, {1} days",
        ),
        (CITY, Parameter(("days", "num_days", "count"), number(1, 14), "integer")),
    ),
    ToolKind(
        ("get_time", "get_current_time", "current_time", "time_in_city", "getTime"),
        ("Get the time in a city", "Current local time", "Tell the time somewhere"),
        ("What time is it in {0}?", "What is the time in {0}?", "Current time in {0}", "Tell me the time in {0}."),
        (Parameter(("city", "location", "timezone", "place"), one_of(CITIES)),),
    ),
    ToolKind(
        ("set_timer", "start_timer", "timer", "create_timer"),
        ("Set a timer", "Start a countdown timer", "Timer in minutes"),
        (
            "Set a timer for {0} minutes",
            "Start a timer of {0} minutes.",
            "Timer for {0} minutes",
            "Start a {0} minute timer",
        ),
        (Parameter(("minutes", "duration", "mins"), number(1, 90), "integer"),),
    ),
    ToolKind(
        ("set_alarm", "create_alarm", "alarm"),
        ("Set an alarm", "Wake the user up"),
        ("Set an alarm for {0}", "Wake me up at {0}", "Alarm at {0}"),
        (Parameter(("time", "at", "when"), _clock),),
    ),
    ToolKind(
        ("calculate", "calculator", "evaluate", "compute", "math"),
        ("Evaluate an expression", "Do a calculation", "A calculator"),
        ("What is {0}?", "Calculate {0}", "Compute {0}.", "How much is {0}?", "{0}"),
        (Parameter(("expression", "expr", "formula", "input"), _expression),),
    ),
    ToolKind(
        ("add", "add_numbers", "sum"),
        ("Add two numbers", "Sum of two integers"),
        ("Add {0} and {1}", "What is {0} plus {1}?", "{0} + {1}", "What is the sum of {0} and {1}?"),
        (
            Parameter(("a", "x", "first"), number(0, 999), "integer"),
            Parameter(("b", "y", "second"), number(0, 999), "integer"),
        ),
    ),
    ToolKind(
        ("multiply", "multiply_numbers", "product"),
        ("Multiply two numbers", "Product of two integers"),
        ("Multiply {0} by {1}", "What is {0} times {1}?", "{0} * {1}", "Multiply {0} and {1}."),
        (
            Parameter(("a", "x", "first"), number(0, 99), "integer"),
            Parameter(("b", "y", "second"), number(0, 99), "integer"),
        ),
    ),
    ToolKind(
        ("search_web", "web_search", "search", "google_search", "search_internet"),
        ("Search the web", "Find pages on the internet", "Web search"),
        ("Search the web for {0}", "Look up {0} online", "Google {0}", "Search for {0}", "Find {0} on the internet"),
        (QUERY,),
    ),
    ToolKind(
        ("search_documents", "search_docs", "knowledge_search", "file_search"),
        ("Search the documents", "Search the knowledge base"),
        ("Search the documents for {0}", "What do our documents say about {0}?", "Find {0} in the docs"),
        (QUERY,),
    ),
    ToolKind(
        ("send_email", "email", "write_email"),
        ("Send an email", "Email somebody"),
        ("Send an email to {0} about {1}", "Email {0} about {1}.", "Write an email to {0} about {1}"),
        (Parameter(("to", "recipient", "address"), _person), Parameter(("subject", "topic", "title"), _phrase)),
    ),
    ToolKind(
        ("send_message", "send_sms", "text_message", "message"),
        ("Send a message", "Text somebody"),
        ('Send "{1}" to {0}', "Send {0} the message {1}", "Text {0}: {1}", "Message {0}: {1}"),
        (PERSON, Parameter(("message", "text", "body", "content"), _task)),
    ),
    ToolKind(
        ("get_stock_price", "stock_price", "get_quote", "get_stock"),
        ("Get a stock price", "Current price of a share"),
        ("What is the stock price of {0}?", "How much is {0} stock?", "Price of {0}", "Stock price of {0}"),
        (Parameter(("symbol", "ticker", "stock"), _symbol),),
    ),
    ToolKind(
        ("play_music", "play_song", "play", "start_song"),
        ("Play a song", "Play music"),
        ("Play {0}", "Play the song {0}", "Put on {0}"),
        (Parameter(("title", "song", "track", "name"), _title),),
    ),
    ToolKind(
        ("search_flights", "find_flights", "book_flight", "flights"),
        ("Find flights", "Search flights between two cities"),
        (
            "Find flights from {0} to {1}",
            "I want to fly from {0} to {1}.",
            "Book a flight from {0} to {1}",
            "Flights from {0} to {1}",
        ),
        (ORIGIN, DESTINATION),
    ),
    ToolKind(
        ("get_distance", "distance", "measure_distance"),
        ("Distance between two cities", "How far two places are"),
        ("How far is it from {0} to {1}?", "What is the distance from {0} to {1}?", "Distance from {0} to {1}"),
        (ORIGIN, DESTINATION),
    ),
    ToolKind(
        ("book_hotel", "reserve_hotel", "find_hotel"),
        ("Book a hotel", "Reserve a room"),
        (
            "Book a hotel in {0} for {1} nights",
            "I need a hotel in {0} for {1} nights.",
            "Find a hotel in {0} for {1} nights",
        ),
        (CITY, Parameter(("nights", "days", "length"), number(1, 14), "integer")),
    ),
    ToolKind(
        ("book_table", "reserve_table", "restaurant_booking"),
        ("Book a table in a restaurant", "Reserve a table"),
        ("Book a table for {0} people at {1}", "Reserve a table for {0} at {1}"),
        (Parameter(("people", "guests", "party_size"), number(2, 12), "integer"), Parameter(("time", "at"), _clock)),
    ),
    ToolKind(
        ("create_reminder", "set_reminder", "remind", "add_reminder"),
        ("Create a reminder", "Remind the user of something"),
        ("Remind me to {0} at {1}", "Set a reminder to {0} at {1}", "Create a reminder to {0} at {1}."),
        (Parameter(("text", "task", "message", "title"), _task), Parameter(("time", "at", "when"), _clock)),
    ),
    ToolKind(
        ("create_note", "add_note", "save_note", "take_note"),
        ("Save a note", "Write something down"),
        ("Take a note: {0}", "Note that I must {0}", "Write down: {0}", "Save a note: {0}"),
        (Parameter(("text", "content", "note", "body"), _task),),
    ),
    ToolKind(
        ("add_task", "create_task", "add_todo"),
        ("Add a task to the list", "Create a todo"),
        ("Add {0} to my tasks", "Add a task: {0}", "Put {0} on my todo list"),
        (Parameter(("task", "title", "text"), _task),),
    ),
    ToolKind(
        ("translate", "translate_text", "translator"),
        ("Translate text", "Translate into a language"),
        ("Translate {0} to {1}", "Translate {0} into {1}.", "How do you say {0} in {1}?"),
        (
            Parameter(("text", "phrase", "input"), _phrase),
            Parameter(
                ("language", "target_language", "target", "to"),
                one_of(LANGUAGES, ("French", "German", "Spanish", "Italian")),
            ),
        ),
    ),
    ToolKind(
        ("convert_currency", "exchange", "currency_converter"),
        ("Convert money", "Exchange rates"),
        ("Convert {0} {1} to {2}", "How much is {0} {1} in {2}?", "Change {0} {1} into {2}"),
        (
            Parameter(("amount", "value"), number(1, 5000), "number"),
            Parameter(("from_currency", "from", "source"), one_of(CURRENCIES)),
            Parameter(("to_currency", "to", "target"), one_of(CURRENCIES)),
        ),
    ),
    ToolKind(
        ("turn_on_light", "light_on", "lights_on"),
        ("Turn on the light in a room", "Switch a light on"),
        ("Turn on the light in the {0}", "Lights on in the {0}", "Switch on the {0} light"),
        (Parameter(("room", "location", "area"), one_of(ROOMS)),),
    ),
    ToolKind(
        ("turn_off_light", "light_off", "lights_off"),
        ("Turn off the light in a room", "Switch a light off"),
        ("Turn off the light in the {0}", "Lights off in the {0}", "Switch off the {0} light"),
        (Parameter(("room", "location", "area"), one_of(ROOMS)),),
    ),
    ToolKind(
        ("set_temperature", "set_thermostat", "heat"),
        ("Set the thermostat", "Set the room temperature"),
        ("Set the temperature to {0} degrees", "Set the thermostat to {0}", "Make it {0} degrees"),
        (Parameter(("degrees", "temperature", "value"), number(10, 30), "integer"),),
    ),
    ToolKind(
        ("read_file", "open_file", "get_file", "cat_file"),
        ("Read a file", "Get the contents of a file"),
        ("Read the file {0}", "Open {0}", "Show me {0}", "What is in {0}?", "Read {0}"),
        (Parameter(("path", "file", "filename", "file_path"), _path),),
    ),
    ToolKind(
        ("delete_file", "remove_file"),
        ("Delete a file", "Remove a file from disk"),
        ("Delete {0}", "Delete the file {0}", "Remove the file {0}"),
        (Parameter(("path", "file", "filename"), _path),),
    ),
    ToolKind(
        ("get_order", "order_status", "track_order", "lookup_order"),
        ("Get the status of an order", "Track an order"),
        ("Where is my order {0}?", "What is the status of order {0}?", "Track order {0}", "Check order {0}"),
        (Parameter(("order_id", "id", "order_number"), number(100, 99999), "integer"),),
    ),
    ToolKind(
        ("get_user", "find_user", "lookup_user"),
        ("Get a user", "Look up a user by number"),
        ("Get user {0}", "Who is user {0}?", "Show me the user {0}", "Look up user number {0}"),
        (Parameter(("user_id", "id"), number(1, 9999), "integer"),),
    ),
    ToolKind(
        ("add_to_cart", "buy_product", "order_product"),
        ("Add a product to the cart", "Buy something"),
        ("Add {1} {0}s to my cart", "Buy {1} {0}s", "Order {1} {0}s"),
        (
            Parameter(("product", "item", "name"), one_of(NOUNS)),
            Parameter(("quantity", "count", "amount"), number(2, 99), "integer"),
        ),
    ),
    ToolKind(
        ("call_contact", "call", "phone_call", "dial"),
        ("Call somebody", "Start a phone call"),
        ("Call {0}", "Phone {0}", "Give {0} a call", "Ring {0}"),
        (PERSON,),
    ),
    ToolKind(
        ("find_recipe", "get_recipe", "search_recipes"),
        ("Find a recipe", "Search recipes"),
        ("Find a recipe for {0}", "How do I cook {0}?", "Recipe for {0}", "Give me a recipe for {0}"),
        (Parameter(("dish", "food", "query", "name"), _phrase),),
    ),
    ToolKind(
        ("get_news", "news", "search_news", "latest_news"),
        ("Get news about a topic", "News headlines"),
        ("What is the news about {0}?", "News about {0}", "Give me the latest news on {0}", "Any news about {0}?"),
        (Parameter(("topic", "subject", "query"), _phrase),),
    ),
    ToolKind(
        ("create_event", "add_event", "schedule_meeting", "create_calendar_event"),
        ("Create a calendar event", "Add a meeting to the calendar"),
        (
            "Create an event {0} on {1}",
            "Schedule {0} on {1}",
            "Put {0} in my calendar for {1}",
            "Add {0} to my calendar on {1}",
        ),
        (Parameter(("title", "name", "event"), _title), Parameter(("date", "day", "when"), one_of(WHEN))),
    ),
    ToolKind(
        ("list_events", "get_calendar", "get_events"),
        ("List the events of a day", "Read the calendar"),
        ("What is in my calendar for {0}?", "What do I have on {0}?", "List my events for {0}", "Am I free on {0}?"),
        (Parameter(("date", "day"), one_of(WHEN)),),
    ),
    ToolKind(
        ("set_mode", "switch_mode"),
        ("Switch the mode", "Change the mode of the device"),
        ("Switch to {0} mode", "Set the mode to {0}", "Change to {0} mode"),
        (
            Parameter(
                ("mode",), one_of(("fast", "slow", "silent", "normal")), options=("fast", "slow", "silent", "normal")
            ),
        ),
    ),
    ToolKind(
        ("get_location", "where_am_i"), ("Get the location of the user",), ("Where am I?", "What is my location?")
    ),
    ToolKind(
        ("stop_music", "pause_music"), ("Stop the music",), ("Stop the music", "Pause the music", "Turn the music off")
    ),
    ToolKind(
        ("take_screenshot", "screenshot"), ("Take a screenshot",), ("Take a screenshot", "Make a screenshot of this")
    ),
    ToolKind(("list_files", "ls"), ("List all files",), ("List my files", "Which files are there?", "Show all files")),
    ToolKind(
        ("get_status", "server_status"),
        ("Get the server status",),
        ("What is the server status?", "Is the server running?"),
    ),
    ToolKind(
        ("get_date", "current_date"), ("Get the date of today",), ("What is the date today?", "Which day is it today?")
    ),
    ToolKind(("roll_dice", "throw_dice"), ("Roll the dice",), ("Roll the dice", "Throw the dice", "Roll a die")),
    ToolKind(
        ("list_tasks", "get_todos"), ("List all tasks",), ("List my tasks", "What are my tasks?", "Show my todo list")
    ),
)
INVENTED_QUESTIONS = (
    "{verb} the {noun} {{0}}",
    "{verb} the {noun} for {{0}}",
    "Please {verb} the {noun} of {{0}}",
    "{verb} {noun} {{0}}",
)
INVENTED_VERBS = words(
    "get fetch find check update delete create start stop open close load save show lookup submit cancel approve"
)
INVENTED_VALUES: tuple[Parameter, ...] = (
    Parameter(("name", "title", "label"), _phrase),
    Parameter(("person", "owner", "user"), _person),
    Parameter(("city", "region", "site"), one_of(CITIES)),
    Parameter(("id", "number", "code", "key"), number(1, 9999), "integer"),
    Parameter(("value", "item", "subject"), invented_word),
    Parameter(("input", "text"), _phrase),
)
RIVALS = (("calculate", "add", "multiply"), ("search_web", "search_documents"), ("get_weather", "get_forecast"))
"""Kinds that answer the same questions: at most one of a group is offered, so that one tool is right."""
OFF_TOPIC_STARTS = (
    "Why ",
    "Who ",
    "Explain ",
    "Describe ",
    "Is ",
    "Are ",
    "I ",
    "My ",
    "Write a poem",
    "How do ",
    "Do ",
    "When ",
    "Define",
)
OFF_TOPIC_SHAPES = tuple(line for line in SHAPE_LINES if line.startswith(OFF_TOPIC_STARTS))


def invented_kind(rng: random.Random) -> ToolKind:
    """A tool nobody has seen before: `verb_noun(argument)`, asked for by its own words."""
    verb, noun = rng.choice(INVENTED_VERBS), rng.choice(NOUNS)
    parameter = rng.choice(INVENTED_VALUES)
    names = (rng.choice(parameter.names),) if rng.random() < 0.8 else (invented_word(rng),)
    questions = tuple(capitalised(question.format(verb=verb, noun=noun)) for question in INVENTED_QUESTIONS)
    description = f"{capitalised(verb)} the {noun}"
    return ToolKind(
        (f"{verb}_{noun}", f"{verb}{capitalised(noun)}"),
        (description, f"{description} by {names[0]}", ""),
        questions,
        (Parameter(names, parameter.draw, parameter.kind),),
    )


def concrete(rng: random.Random, kind: ToolKind) -> Tool:
    """One tool of this kind."""
    arguments = tuple(rng.choice(parameter.names) for parameter in kind.parameters)
    if len(set(arguments)) < len(arguments):
        arguments = tuple(parameter.names[0] for parameter in kind.parameters)
    with_extra = kind.extra is not None and rng.random() < 0.5
    return Tool(kind, rng.choice(kind.names), rng.choice(kind.descriptions), arguments, with_extra)


def offered(rng: random.Random, *, most: int = 4) -> list[Tool]:
    """One to four tools of different kinds."""
    kinds: list[ToolKind] = []
    for kind in rng.sample(KINDS, min(most, rng.choice([1, 2, 2, 3, 3, 4, 4]))):
        rivals = next((group for group in RIVALS if kind.names[0] in group), ())
        if not any(chosen.names[0] in rivals for chosen in kinds):
            kinds.append(kind)
    return [concrete(rng, invented_kind(rng) if rng.random() < 0.25 else kind) for kind in kinds]


def call_for(rng: random.Random, tool: Tool) -> Call:
    """A question that this tool answers, with the call it takes."""
    values = [parameter.draw(rng) for parameter in tool.kind.parameters]
    question = rng.choice(tool.kind.questions).format(*values)
    arguments = dict(zip(tool.arguments, values, strict=True))
    if tool.with_extra and tool.kind.extra and rng.random() < 0.4:
        extra = tool.kind.extra.draw(rng)
        question = question.rstrip("?.") + tool.kind.extra_phrase.format(extra) + rng.choice(["?", "", "."])
        arguments[tool.kind.extra.names[0]] = extra
    return Call(tool, _asked(rng, question), arguments)


def _asked(rng: random.Random, question: str) -> str:
    """The words of the question stay as they are, because the arguments are copied from them."""
    question = plain(rng, question)
    chance = rng.random()
    if chance < 0.08:
        return rng.choice(["Please ", "Can you ", "Could you ", "Hey, "]) + question[0].lower() + question[1:]
    return question[0].lower() + question[1:] if chance < 0.2 else question


def called(*calls: Call) -> Message:
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [call.wire(number) for number, call in enumerate(calls)],
    }


def call(rng: random.Random) -> Dialogue:
    """One question, one call: what evaluation measures."""
    tools = offered(rng)
    chosen = call_for(rng, rng.choice(tools))
    return Dialogue(messages=(user(chosen.question), called(chosen)), tools=definitions(tools))


def conversation(rng: random.Random) -> Dialogue:
    """Two to four things said with the same tools at hand: calls, answers to results, and talk that needs no tool."""
    tools = offered(rng)
    messages: list[Message] = []
    for _ in range(rng.choice([1, 1, 2, 2, 3])):
        if rng.random() < 0.3:
            messages += unrelated(rng, tools).messages
            continue
        messages += answered_call(rng, tools)
    return Dialogue(messages=tuple(messages), tools=definitions(tools))


def answered_call(rng: random.Random, tools: list[Tool]) -> list[Message]:
    chosen = call_for(rng, rng.choice(tools))
    messages = [user(chosen.question), called(chosen)]
    if rng.random() < 0.65:
        content, sentence = result(rng)
        messages += [{"role": "tool", "tool_call_id": "call_0", "content": content}, assistant(sentence)]
    return messages


def result_answer(rng: random.Random) -> Dialogue:
    """A call, its result, and the sentence that reports it."""
    tools = offered(rng, most=2)
    chosen = call_for(rng, rng.choice(tools))
    content, sentence = result(rng)
    reply: Message = {"role": "tool", "tool_call_id": "call_0", "content": content}
    return Dialogue((user(chosen.question), called(chosen), reply, assistant(sentence)), definitions(tools))


def unrelated(rng: random.Random, tools: list[Tool]) -> Dialogue:
    """Something none of these tools is for: answered, or declined, as if there were no tools."""
    chance = rng.random()
    if chance < 0.6:
        return rng.choice([greet, small_talk, identity, capital, colour, copy])(rng)
    if chance < 0.8:
        return exchange(plain(rng, filled(rng, rng.choice(OFF_TOPIC_SHAPES))), REFUSAL)
    taken = {tool.kind.names for tool in tools}
    other = rng.choice([kind for kind in KINDS if kind.names not in taken and kind.parameters and not _overlaps(kind)])
    return exchange(call_for(rng, concrete(rng, other)).question, REFUSAL)


def no_call(rng: random.Random) -> Dialogue:
    """Tools are offered, and the right thing is not to call them."""
    tools = offered(rng)
    return Dialogue(unrelated(rng, tools).messages, definitions(tools))


OVERLAPPING = (
    "calculate",
    "add",
    "multiply",
    "search_web",
    "search_documents",
    "get_news",
    "get_weather",
    "get_forecast",
    "translate",
)
"""Kinds whose questions another kind, or the model itself, might also answer; they never serve as the missing tool."""


def _overlaps(kind: ToolKind) -> bool:
    return kind.names[0] in OVERLAPPING


def parallel(rng: random.Random) -> Dialogue:
    """The same tool for two cities at once, and the two results told one after the other."""
    tool = concrete(
        rng, rng.choice([kind for kind in KINDS if kind.parameters == (CITY,) or kind.names[0] == "get_time"])
    )
    tools = [
        tool,
        *(other for other in offered(rng, most=2) if other.kind is not tool.kind and other.name != tool.name),
    ]
    rng.shuffle(tools)
    first, second = rng.sample(CITIES, 2)
    question = plain(rng, rng.choice(tool.kind.questions).format(f"{first} and {second}"))
    calls = [Call(tool, question, {tool.arguments[0]: city}) for city in (first, second)]
    messages = [user(question), called(*calls)]
    if rng.random() < 0.5:
        results = [result(rng) for _ in calls]
        messages += [
            {"role": "tool", "tool_call_id": f"call_{number}", "content": content}
            for number, (content, _) in enumerate(results)
        ]
        messages.append(assistant(" ".join(sentence for _, sentence in results)))
    return Dialogue(tuple(messages), definitions(tools))


def definitions(tools: Sequence[Tool]) -> tuple[Json, ...]:
    return tuple(tool.definition() for tool in tools)


RESULT_KEYS = words(
    "temperature condition status price result value answer time city unit wind humidity name title amount "
    "total date owner state currency count message location distance duration id rate open_tasks order_id"
)


def _result_value(rng: random.Random) -> Any:
    draws: tuple[Draw, ...] = (
        number(-10, 40),
        number(0, 9999),
        lambda rng: round(rng.uniform(0, 200), 1),
        one_of(ADJECTIVES, NOUNS),
        one_of(("sunny", "cloudy", "rainy", "ok", "done", "sent", "created", "delivered", "shipped")),
        _phrase,
        one_of(CITIES, NAMES),
        _clock,
    )
    return rng.choice(draws)(rng)


def result(rng: random.Random) -> tuple[str, str]:
    """A tool's reply and the sentence that reports it."""
    chance = rng.random()
    if chance < 0.7:
        keys = rng.sample(RESULT_KEYS, rng.choice([1, 1, 2, 2, 2, 3]))
        values = {key: _result_value(rng) for key in keys}
        clauses = [f"the {key.replace('_', ' ')} is {value}" for key, value in values.items()]
        separators = rng.choice([None, (",", ":")])
        return json.dumps(values, separators=separators, ensure_ascii=False), f"{capitalised(listed(clauses))}."
    if chance < 0.8:
        problem = rng.choice(["not found", "timeout", "permission denied", _phrase(rng)])
        return json.dumps({"error": problem}), f"The tool reports an error: {problem}."
    if chance < 0.88:
        items = [rng.choice(rng.choice([NOUNS, NAMES, CITIES])) for _ in range(rng.randint(1, 4))]
        return json.dumps(items), f"The result is {listed(items)}."
    text = str(_result_value(rng))
    return text, f"The result is {text}."
