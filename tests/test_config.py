"""Settings: who wins, what each value may be, and that every mistake is named at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hansard.config import ModelSpec, Secret, Settings, TargetSpec, UpstreamSpec, is_loopback, resolve
from hansard.config.upstreams import LEAVABLE
from hansard.contract.request import ChatRequest
from hansard.errors import StartupError

Flags = Mapping[str, object] | None
Environ = Mapping[str, str] | None


class Place:
    """Directories of one test, and how to resolve in them."""

    def __init__(self, directory: Path) -> None:
        self.config_dir = directory / "config"
        self.data_dir = directory / "data"
        self.files = directory / "files"
        for made in (self.config_dir, self.files):
            made.mkdir()

    def resolve(self, flags: Flags = None, environ: Environ = None) -> Settings:
        return resolve(flags or {}, environ or {}, config_dir=self.config_dir, data_dir=self.data_dir)

    def problems(self, flags: Flags = None, environ: Environ = None, *, with_lines: bool = False) -> list[str]:
        with pytest.raises(StartupError) as caught:
            self.resolve(flags, environ)
        problems = list(caught.value.problems)
        return problems if with_lines else [re.sub(r" \(line \d+\)", "", problem) for problem in problems]

    def toml(self, text: str) -> Path:
        file = self.config_dir / "hansard.toml"
        file.write_text(text)
        return file

    def file(self, name: str, text: str = "") -> str:
        (self.files / name).write_text(text)
        return str(self.files / name)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_without_a_word_the_builtin_model_serves_on_loopback(place: Place) -> None:
    settings = place.resolve()

    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.models == (ModelSpec(name="hansard-tiny"),)
    assert settings.upstreams == ()
    assert settings.data == place.data_dir
    assert settings.db_file == place.data_dir / "hansard.sqlite3"
    assert settings.api_key is None
    assert (settings.list_order, settings.metadata_without_store, settings.on_disconnect) == ("asc", "refuse", "cancel")
    assert set(settings.origins.values()) == {"default"}


PRECEDENCE = [
    # flag, variable, file -> value, origin
    ("1", "2", "3", 1, "--port"),
    (None, "2", "3", 2, "HANSARD_PORT"),
    (None, "", "3", 3, "port in {file}"),  # an empty variable is none: compose files pass them on
    (None, None, "3", 3, "port in {file}"),
    (None, None, '"3"', 3, "port in {file}"),
    ("1", None, None, 1, "--port"),
    (None, None, None, 8000, "default"),
]


@pytest.mark.parametrize(("flag", "variable", "file", "value", "origin"), PRECEDENCE)
def test_flag_wins_over_variable_over_file_over_default(
    place: Place, flag: str | None, variable: str | None, file: str | None, value: int, origin: str
) -> None:
    path = place.toml(f"port = {file}") if file else Path()

    settings = place.resolve({"port": flag}, {} if variable is None else {"HANSARD_PORT": variable})

    assert settings.port == value
    assert settings.origins["port"] == origin.format(file=path)


def test_what_is_overridden_may_be_wrong(place: Place) -> None:
    assert place.resolve({"port": "1"}, {"HANSARD_PORT": "x"}).port == 1


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_the_file_can_be_named(place: Place, how: str) -> None:
    place.toml("port = 1")
    file = place.file("other.toml", "port = 2")

    settings = place.resolve({"config": file}) if how == "flag" else place.resolve({}, {"HANSARD_CONFIG": file})

    assert settings.port == 2
    assert settings.config == Path(file)


# Every field, as a flag, with what becomes of it.
NO_DATABASE = "is not a database that can be used; write sqlite:///FILE or postgresql://USER@HOST/NAME."
NO_ADDRESS = "is not an address; write one like http://localhost:11434/v1."
NO_POSTGRESQL = (
    "this is not the URL of a PostgreSQL database; write postgresql://USER@HOST/NAME. "
    "In a password, write %40 for @, %3A for :, %2F for /, %3F for ? and %23 for #."
)

VALUES: list[tuple[str, object, object]] = [
    ("host", "localhost", "localhost"),
    ("port", "0", 0),
    ("ctx", "4096", 4096),
    ("parallel", "4", 4),
    ("threads", "2", 2),
    ("gpu_layers", "-1", -1),
    ("store", "always", "always"),
    ("redactions", "ticket=T-[0-9]{4}", {"ticket": re.compile("T-[0-9]{4}")}),
    ("redactions", ["a=x=y", "b=z"], {"a": re.compile("x=y"), "b": re.compile("z")}),
    ("redactions", {"ticket": "T-[0-9]{4}"}, {"ticket": re.compile("T-[0-9]{4}")}),
    ("list_order", "desc", "desc"),
    ("metadata_without_store", "accept", "accept"),
    ("search", "on", "on"),
    ("search_budget_ms", "250", 250),
    ("on_disconnect", "finish", "finish"),
    ("idempotency_ttl_s", "60", 60),
    ("retention", "30d", 2_592_000),
    ("retention", 90, 90),
    ("retention", "never", None),
    ("retention_bodies", "12h", 43_200),
    ("max_body_bytes", "1048576", 1048576),
    ("max_bodies_bytes", "1048576", 1048576),
    ("max_completion_bytes", "1048576", 1048576),
    ("queue", "0", 0),
    ("silence_s", "2.5", 2.5),
    ("body_s", "2.5", 2.5),
    ("unread_s", "2.5", 2.5),
    ("drain", "2.5", 2.5),
    ("log", "off", "off"),
    ("aliases", ["gpt-4o=hansard-tiny", "*=hansard-tiny"], {"gpt-4o": "hansard-tiny", "*": "hansard-tiny"}),
    ("data", "/srv/hansard", Path("/srv/hansard")),
    ("db", "sqlite:////srv/h.sqlite3", "sqlite:////srv/h.sqlite3"),
]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://h/d", "postgresql://h/d"),
        ("postgres://me:word@h:5432/d", "postgresql://me@h:5432/d"),
        ("postgresql://me:word@h1,h2:5433/d?sslmode=require", "postgresql://me@h1,h2:5433/d?sslmode=require"),
        ("postgresql://me@/d?host=/run/pg&password=word", "postgresql://me@/d?host=/run/pg"),
        ("postgresql://h/d?sslpassword=word", "postgresql://h/d"),
        ("postgresql://", "postgresql://"),
    ],
)
def test_a_database_server_is_shown_without_its_password(place: Place, given: str, shown: str) -> None:
    settings = place.resolve({"db": given})
    assert settings.db == shown
    assert settings.db.full == given
    assert settings.db_file is None
    assert "word" not in f"{settings!r}{settings.db!r}{settings.db.full!r}"


@pytest.mark.parametrize(("name", "given", "value"), VALUES)
def test_each_setting_is_read(place: Place, name: str, given: object, value: object) -> None:
    assert getattr(place.resolve({name: given}), name) == value


def test_relative_paths_start_where_they_were_written(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.files)
    place.toml('data = "here"\ndb = "sqlite:///h.db"')

    settings = place.resolve()

    assert settings.data == place.config_dir / "here"
    assert settings.db_file == place.config_dir / "h.db"
    assert place.resolve({"data": "there"}).data == place.files / "there"


def test_a_key_in_a_file_or_variable_is_kept_and_not_shown(place: Place) -> None:
    file = place.file("key", "sk-file\n")
    by_flag = place.resolve({"api_key_file": file}, {"HANSARD_API_KEY": "sk-variable"})
    by_variable = place.resolve({}, {"HANSARD_API_KEY": "sk-variable"})
    by_file_variable = place.resolve({}, {"HANSARD_API_KEY_FILE": file})
    place.toml(f'api_key_file = "{file}"')
    by_toml = place.resolve()

    assert [s.api_key for s in (by_flag, by_variable, by_file_variable, by_toml)] == [
        "sk-file",
        "sk-variable",
        "sk-file",
        "sk-file",
    ]
    assert by_flag.origins["api_key"] == "--api-key-file"
    assert by_variable.origins["api_key"] == "HANSARD_API_KEY"
    assert by_file_variable.origins["api_key"] == "HANSARD_API_KEY_FILE"
    assert "sk-" not in repr(by_flag)
    assert repr(Secret("sk-x")) == "Secret(...)"


# Models


def test_model_files_replace_the_builtin_and_go_by_their_stem(place: Place) -> None:
    plain, parts = place.file("qwen3-4b.gguf"), place.file("big-00001-of-00003.gguf")

    settings = place.resolve({"models": [plain, f"mine={plain}", parts, "builtin", "echo"]})

    assert [(model.name, model.path) for model in settings.models] == [
        ("qwen3-4b", Path(plain)),
        ("mine", Path(plain)),
        ("big", Path(parts)),
        ("hansard-tiny", None),
        ("echo", None),
    ]


def test_an_equals_sign_in_a_directory_is_no_name(place: Place) -> None:
    (place.files / "a=b").mkdir()
    file = place.file("a=b/m.gguf")

    assert place.resolve({"models": [file]}).models == (ModelSpec(name="m", path=Path(file)),)


def test_shared_options_fill_what_a_model_does_not_say(place: Place) -> None:
    place.file("a.gguf")
    projector = place.file("p.gguf")
    file = place.file(
        "h.toml",
        '[[models]]\npath = "a.gguf"\nname = "seer"\nmmproj = "p.gguf"\nctx = 100\n[[models]]\npath = "builtin"\n',
    )

    settings = place.resolve({"config": file, "ctx": "200", "parallel": "3"})

    assert settings.models == (
        ModelSpec(name="seer", path=place.files / "a.gguf", mmproj=Path(projector), ctx=100, parallel=3),
        ModelSpec(name="hansard-tiny", ctx=200, parallel=3),
    )


def test_a_projector_goes_to_the_only_model_file(place: Place) -> None:
    model, projector = place.file("m.gguf"), place.file("p.gguf")

    settings = place.resolve({"models": [model, "builtin"], "mmproj": projector})

    assert [spec.mmproj for spec in settings.models] == [Path(projector), None]


def test_a_variable_lists_with_commas(place: Place) -> None:
    file = place.file("m.gguf")

    settings = place.resolve({}, {"HANSARD_MODELS": f"{file}, builtin", "HANSARD_ALIASES": "a=m,b=m"})

    assert [model.name for model in settings.models] == ["m", "hansard-tiny"]
    assert settings.aliases == {"a": "m", "b": "m"}


# Upstreams


def test_an_upstream_replaces_the_builtin_and_goes_by_its_host(place: Place) -> None:
    settings = place.resolve({"upstreams": ["http://localhost:11434/v1/", "far=https://api.example.com/v1"]})

    assert settings.models == ()
    assert settings.upstreams == (
        UpstreamSpec(name="localhost:11434", address="http://localhost:11434/v1"),
        UpstreamSpec(name="far", address="https://api.example.com/v1"),
    )


def test_the_builtin_can_be_added_to_an_upstream(place: Place) -> None:
    settings = place.resolve({"upstreams": ["http://localhost:1"], "models": ["builtin"]})

    assert [model.name for model in settings.models] == ["hansard-tiny"]


def test_an_upstreams_key_comes_from_a_file_a_variable_or_the_one_setting(place: Place) -> None:
    place.file("key", "sk-one")
    place.toml(
        f'[[upstreams]]\nname = "a"\nbase_url = "http://a"\nkey_file = "{place.files}/key"\n'
        '[[upstreams]]\nbase_url = "http://b:1"\nkey_env = "B_KEY"\n'
        '[[upstreams]]\nname = "c"\nbase_url = "http://c"\n'
    )

    settings = place.resolve({}, {"B_KEY": "sk-two", "HANSARD_UPSTREAM_KEY": "sk-three"})

    assert [(u.name, u.key) for u in settings.upstreams] == [("a", "sk-one"), ("b:1", "sk-two"), ("c", "sk-three")]


def test_with_an_upstream_an_alias_may_name_any_model(place: Place) -> None:
    settings = place.resolve({"upstreams": ["http://a"], "aliases": ["x=not-known-here"]})

    assert settings.aliases == {"x": "not-known-here"}


EVERYTHING = """
[[upstreams]]
name = "office"
base_url = "unix:///run/vllm.sock:/api"
key_env = "OFFICE_KEY"
headers = { "X-Team" = "search", "api-key" = { env = "AZURE_KEY" } }
connect_s = 1
first_byte_s = 30.5
between_chunks_s = 0
total_s = 600
max_connections = 100
retries = 0
retry_pause_s = 0.5
retry_longest_pause_s = 4
retry_share = 1
retry_reserve = 0
breaker_failures = 0
breaker_pause_s = 1
breaker_longest_pause_s = 10
breaker_probes = 3
unsupported = ["verbosity", "logprobs"]

[[upstreams]]
base_url = "https://api.example.com/v1"
key = "client"

[[models]]
path = "echo"

[[models]]
name = "chat"
targets = [
  { upstream = "office", model = "qwen3-32b", weight = 3 },
  { upstream = "api.example.com", model = "big", weight = 1 },
  { model = "echo" },
]
"""


def test_an_upstream_and_a_models_targets_say_more_in_the_file(place: Place) -> None:
    place.toml(EVERYTHING)

    settings = place.resolve({}, {"OFFICE_KEY": "sk-office", "AZURE_KEY": "sk-azure"})

    office, cloud = settings.upstreams
    assert office == UpstreamSpec(
        name="office",
        address="unix:///run/vllm.sock:/api",
        key=Secret("sk-office"),
        headers={"X-Team": "search", "api-key": "sk-azure"},
        connect_s=1.0,
        first_byte_s=30.5,
        between_chunks_s=0.0,
        total_s=600.0,
        max_connections=100,
        retries=0,
        retry_pause_s=0.5,
        retry_longest_pause_s=4.0,
        retry_share=1.0,
        retry_reserve=0,
        breaker_failures=0,
        breaker_pause_s=1.0,
        breaker_longest_pause_s=10.0,
        breaker_probes=3,
        unsupported=("verbosity", "logprobs"),
    )
    assert (cloud.name, cloud.key, cloud.takes_client_key) == ("api.example.com", None, True)
    assert settings.models[1] == ModelSpec(
        name="chat",
        targets=(
            TargetSpec(upstream="office", model="qwen3-32b", weight=3.0),
            TargetSpec(upstream="api.example.com", model="big", weight=1.0),
            TargetSpec(model="echo"),
        ),
    )


@pytest.mark.parametrize(
    ("address", "socket", "base_url", "name"),
    [
        ("http://a:1/v1", None, "http://a:1/v1", "a:1"),
        ("unix:///run/s", "/run/s", "http://localhost/v1", "/run/s"),
        ("unix:///run/s:/", "/run/s", "http://localhost/v1", "/run/s"),
        ("unix:///run/s:/api/v2", "/run/s", "http://localhost/api/v2", "/run/s"),
    ],
)
def test_an_upstream_may_be_behind_a_socket(
    place: Place, address: str, socket: str | None, base_url: str, name: str
) -> None:
    [spec] = place.resolve({"upstreams": [address]}).upstreams

    assert (spec.socket, spec.base_url, spec.name) == (socket, base_url, name)


def test_the_one_key_passes_by_who_takes_the_clients(place: Place) -> None:
    place.toml('[[upstreams]]\nbase_url = "http://a"\nkey = "client"\n[[upstreams]]\nbase_url = "http://b"\n')

    settings = place.resolve({}, {"HANSARD_UPSTREAM_KEY": "sk-one"})

    assert [one.key for one in settings.upstreams] == [None, "sk-one"]


def test_everything_that_may_be_left_out_is_a_field_of_a_request() -> None:
    whole = {"model", "messages", "store", "metadata", "stream"}

    assert set(LEAVABLE) == set(ChatRequest.__struct_fields__) - whole


# Mistakes

NOT_A_KEY = "a key is one word of visible ASCII characters; this is empty or has others."
A_LENGTH = "seconds or a number with s, m, h, d or w behind it (30d), from 1s to 36500d, or never"
MISTAKES: list[tuple[dict[str, object], dict[str, str], str]] = [
    ({"port": "65536"}, {}, "--port: '65536' is not a whole number from 0 to 65535."),
    ({"port": "8e3"}, {}, "--port: '8e3' is not a whole number from 0 to 65535."),
    ({"ctx": "0"}, {}, "--ctx: '0' is not a whole number, 1 or more."),
    ({"gpu_layers": "-2"}, {}, "--gpu-layers: '-2' is not a whole number, -1 or more."),
    ({"host": " "}, {}, "--host: ' ' is not a text."),
    ({"data": ""}, {}, "--data: '' is not a path."),
    ({"drain": "-1"}, {}, "--drain: '-1' is not a number of seconds, 0 or more."),
    ({"drain": "nan"}, {}, "--drain: 'nan' is not a number of seconds, 0 or more."),
    ({"retention": "soon"}, {}, f"--retention: 'soon' is not a length of time; write {A_LENGTH}."),
    (
        {},
        {"HANSARD_RETENTION_BODIES": "0"},
        f"HANSARD_RETENTION_BODIES: '0' is not a length of time; write {A_LENGTH}.",
    ),
    ({"list_order": "up"}, {}, "--list-order: 'up' is not one of asc, desc."),
    ({"log": "xml"}, {}, "--log: 'xml' is not one of text, json, off."),
    ({}, {"HANSARD_QUEUE": "many"}, "HANSARD_QUEUE: 'many' is not a whole number, 0 or more."),
    ({"models": ["/none.gguf"]}, {}, "--model: there is no file /none.gguf."),
    ({"mmproj": "/none.gguf"}, {}, "--mmproj: there is no file /none.gguf."),
    ({"config": "/none.toml"}, {}, "--config: there is no file /none.toml."),
    ({}, {"HANSARD_CONFIG": "/none.toml"}, "HANSARD_CONFIG: there is no file /none.toml."),
    ({"db": "h.sqlite3"}, {}, f"--db: 'h.sqlite3' {NO_DATABASE}"),
    ({"db": "sqlite://"}, {}, f"--db: 'sqlite://' {NO_DATABASE}"),
    ({"db": "sqlite:///:memory:"}, {}, f"--db: 'sqlite:///:memory:' {NO_DATABASE}"),
    ({"db": "mysql://me:word@h/d"}, {}, f"--db: this {NO_DATABASE}"),
    ({"db": "host=h user=u password=PGPASS"}, {}, f"--db: this {NO_DATABASE}"),
    ({}, {"HANSARD_DB": "PGPASS"}, f"HANSARD_DB: this {NO_DATABASE}"),
    ({"upstreams": ["sk-proj-abc"]}, {}, f"--upstream: this {NO_ADDRESS}"),
    ({"upstreams": ["ftp://h/v1?api-key=SECRET"]}, {}, f"--upstream: this {NO_ADDRESS}"),
    (
        {"upstreams": ["unix:///run/x:/v1?api-key=SECRET"]},
        {},
        "--upstream: this is not the address of a socket; write one like unix:///run/vllm.sock:/v1.",
    ),
    (
        {"cors": ["https://me:word@shop.example"]},
        {},
        "--cors: this is no origin; write https://HOST, or '*' for every page.",
    ),
    ({}, {"HANSARD_DB": "postgresql://me:wo/rd@h/d"}, f"HANSARD_DB: {NO_POSTGRESQL}"),
    ({"db": "postgresql://me:wo@rd@h/d"}, {}, f"--db: {NO_POSTGRESQL}"),
    (
        {"upstreams": ["localhost:11434"]},
        {},
        "--upstream: 'localhost:11434' is not an address; write one like http://localhost:11434/v1.",
    ),
    (
        {"upstreams": ["http://h:99999"]},
        {},
        "--upstream: 'http://h:99999' is not an address; write one like http://localhost:11434/v1.",
    ),
    (
        {"upstreams": ["http://u:secret@h/v1"]},
        {},
        "--upstream: an address must not carry a key or password; name its key_env or key_file in the TOML file.",
    ),
    (
        {"upstreams": ["http://h/v1?api-key=SECRET"]},
        {},
        "--upstream: 'http://h/v1' goes on after the path; leave out what follows: '?' or '#' and the rest.",
    ),
    (
        {"upstreams": ["http://h/v1", "http://h/v2"]},
        {},
        "--upstream: two upstreams are called h; name them apart with --upstream NAME=URL.",
    ),
    (
        {"models": ["builtin", "builtin"]},
        {},
        "--model: two models are called hansard-tiny; name them apart with --model NAME=FILE.",
    ),
    (
        {"models": ["mine=builtin"]},
        {},
        "--model: only a model file can be given a name; use --alias mine=hansard-tiny.",
    ),
    ({"aliases": ["gpt-4o"]}, {}, "--alias: 'gpt-4o' is not NAME=MODEL."),
    ({"redactions": ["T 1=x"]}, {}, "--redaction: 'T 1' is no name for a pattern; use small letters, digits and _."),
    (
        {"redactions": [r"t=\b"]},
        {},
        "--redaction: the pattern 't' cannot be used: it can find only the empty text, so it would redact nothing; ask "
        "for one character at least.",
    ),
    (
        {"redactions": ["t=.*x"]},
        {},
        "--redaction: the pattern 't' cannot be used: a repeat without a bound can take long; write {1,64} for + "
        "(256 at most).",
    ),
    ({"aliases": ["=m"]}, {}, "--alias: '=m' is not NAME=MODEL."),
    ({"aliases": ["a=b"]}, {}, "--alias: no model is called b; these are served: hansard-tiny."),
    (
        {"aliases": ["hansard-tiny=hansard-tiny"]},
        {},
        "--alias: hansard-tiny is a model already; an alias needs a name of its own.",
    ),
    ({"api_key_file": "/none"}, {}, "--api-key-file: cannot read /none: No such file or directory."),
    ({}, {"HANSARD_API_KEY": "two words"}, f"HANSARD_API_KEY: {NOT_A_KEY}"),
    (
        {},
        {"HANSARD_API_KEY": "a", "HANSARD_API_KEY_FILE": "b"},
        "HANSARD_API_KEY and HANSARD_API_KEY_FILE: both are set; keep one.",
    ),
    (
        {},
        {"HANSARD_UPSTREAM_KEY": "k"},
        "HANSARD_UPSTREAM_KEY: goes to one upstream, and 0 have no key of their own; "
        "give each its key_env or key_file under [[upstreams]] in the TOML file.",
    ),
    (
        {"upstreams": ["http://a", "http://b"]},
        {"HANSARD_UPSTREAM_KEY": "k"},
        "HANSARD_UPSTREAM_KEY: goes to one upstream, and 2 have no key of their own; "
        "give each its key_env or key_file under [[upstreams]] in the TOML file.",
    ),
    ({}, {"HANSARD_PROT": "1"}, "HANSARD_PROT: unknown; did you mean HANSARD_PORT?"),
    ({}, {"HANSARD_MODEL": "builtin"}, "HANSARD_MODEL: unknown; did you mean HANSARD_MODELS?"),
    ({}, {"HANSARD_XYZZY": "1"}, "HANSARD_XYZZY: unknown."),
    # only the unreadable key is to blame, not the host
    ({"host": "::", "api_key_file": "/none"}, {}, "--api-key-file: cannot read /none: No such file or directory."),
]


@pytest.mark.parametrize(("flags", "environ", "problem"), MISTAKES)
def test_each_mistake_is_named_once(
    place: Place, flags: dict[str, object], environ: dict[str, str], problem: str
) -> None:
    assert place.problems(flags, environ) == [problem]


UP = '[[upstreams]]\nbase_url = "http://a"\n'
ECHO = '{ model = "echo" }'
FIRST = "models in {file}, number 1"
LIST_OF_TARGETS = 'is a list of one or more, as [{ upstream = "NAME", model = "NAME THERE" }].'
FILE_MISTAKES = [
    ("prot = 1", "prot in {file}: unknown; did you mean port in {file}?"),
    ("port = true", "port in {file}: True is not a whole number from 0 to 65535."),
    ("host = 1", "host in {file}: 1 is not a text."),
    ("data = 1", "data in {file}: 1 is not a path."),
    ("drain = []", "drain in {file}: [] is not a number of seconds, 0 or more."),
    ("models = 1", "models in {file}: 1 is not a text."),
    ("models = [1]", "models in {file}, number 1: 1 is not a text."),
    ("[[models]]", "path of models in {file}, number 1: missing."),
    (
        '[[models]]\npath = "builtin"\n[[models]]\npath = "echo"\nctx = "x"',
        "ctx of models in {file}, number 2: 'x' is not a whole number, 1 or more.",
    ),
    (
        '[[models]]\npath = "builtin"\ncontext = 1',
        "context of models in {file}, number 1: unknown; did you mean ctx of models in {file}, number 1?",
    ),
    ('[[upstreams]]\nname = "a"', "base_url of upstreams in {file}, number 1: missing."),
    (
        '[[upstreams]]\nbase_url = "http://a"\nkey_env = "NOT_SET"',
        "key_env of upstreams in {file}, number 1: the variable NOT_SET is not set; put the upstream's key in it.",
    ),
    (
        '[[upstreams]]\nbase_url = "http://a"\nkey = "sk-x"',
        "key of upstreams in {file}, number 1: a key does not belong in this file; put it in a file of its own and "
        'name that: key_file or key_env. Only key = "client" can stand here.',
    ),
    ("[aliases]\na = 1", "aliases in {file}: 1 is not a text."),
    (
        UP + 'unsupported = ["logprob"]',
        "unsupported of upstreams in {file}, number 1: logprob is no field of a request that can be left out; "
        "did you mean logprobs?",
    ),
    (
        UP + 'unsupported = ["messages"]',
        "unsupported of upstreams in {file}, number 1: messages is no field of a request that can be left out.",
    ),
    (
        UP + "headers = 1",
        'headers of upstreams in {file}, number 1: is a table, as { "X-Team" = "search", '
        '"api-key" = { env = "VARIABLE" } }.',
    ),
    (
        UP + 'headers = { "a b" = "c" }',
        "headers of upstreams in {file}, number 1: 'a b' is not the name of a header.",
    ),
    (
        UP + 'headers = { "a" = { env = "NOT_SET" } }',
        "headers of upstreams in {file}, number 1: the variable NOT_SET is not set; put the upstream's key in it.",
    ),
    (
        UP + 'headers = { "a" = 1 }',
        "headers of upstreams in {file}, number 1: 1 is not the value of a header; "
        'write a text or { env = "VARIABLE" }.',
    ),
    (UP + "retries = 11", "retries of upstreams in {file}, number 1: 11 is not a whole number from 0 to 10."),
    (
        UP + "timeout = 1",
        "timeout of upstreams in {file}, number 1: unknown.",
    ),
    (
        '[[upstreams]]\nbase_url = "unix://relative"',
        "base_url of upstreams in {file}, number 1: 'unix://relative' is not the address of a socket; "
        "write one like unix:///run/vllm.sock:/v1.",
    ),
    ('[[models]]\nname = "x"\ntargets = []', f"targets of {FIRST}: {LIST_OF_TARGETS}"),
    ('[[models]]\nname = "x"\ntargets = "a"', f"targets of {FIRST}: {LIST_OF_TARGETS}"),
    (
        '[[models]]\nname = "x"\ntargets = ["a"]',
        "targets of models in {file}, number 1: 'a' is not a target; "
        'write { upstream = "NAME", model = "NAME THERE" }.',
    ),
    (f'[[models]]\ntargets = [{ECHO}]\n[[models]]\npath = "echo"', f"name of {FIRST}: missing."),
    (
        f'[[models]]\nname = "x"\npath = "echo"\ntargets = [{ECHO}]\n[[models]]\npath = "echo"',
        f"path of {FIRST}: has no place beside targets; a model is a file or a name for others.",
    ),
    (
        UP + '[[models]]\nname = "x"\ntargets = [{ upstream = "a" }]',
        f"model of targets of {FIRST}, number 1: missing.",
    ),
    (
        '[[models]]\nname = "x"\ntargets = [{ model = "echo", weight = 0 }]\n[[models]]\npath = "echo"',
        f"weight of targets of {FIRST}, number 1: 0 is not a number above 0.",
    ),
    (
        f'[[models]]\nname = "x"\ntargets = [{ECHO}]',
        f"model of targets of {FIRST}, number 1: no model here is called echo; "
        "name its upstream, or add it under [[models]].",
    ),
    (
        UP + '[[models]]\nname = "x"\ntargets = [{ upstream = "b", model = "m" }]',
        f"upstream of targets of {FIRST}, number 1: no upstream is called b; these are there: a.",
    ),
    (
        'api_key = "sk-x"',
        "api_key in {file}: a key does not belong in this file; "
        "put it in a file of its own and name that: api_key_file.",
    ),
    ("port =", "{file}: is not TOML: Invalid value (at end of document)."),
]


@pytest.mark.parametrize(("text", "problem"), FILE_MISTAKES)
def test_each_mistake_in_the_file_is_named_once(place: Place, text: str, problem: str) -> None:
    file = place.toml(text)

    assert place.problems() == [problem.replace("{file}", str(file))]


def test_an_upstream_has_one_key(place: Place) -> None:
    file = place.toml(UP + 'key = "client"\nkey_env = "THEIRS"')

    where = f"of upstreams in {file}, number 1"
    assert place.problems({}, {"THEIRS": "sk-x"}) == [
        f"key {where} and key_env {where}: only one of them can hold; keep one."
    ]


def test_every_mistake_in_the_file_comes_with_its_line(place: Place) -> None:
    file = place.toml(
        """# line 1
port = "x"
quue = 1

[[models]]
path = "builtin"
[[models]]
path = "echo"
ctx = 0

[[upstreams]]
base_url = "http://a"
headers = { "a" = 1 }
unsupported = [
  "verbosity",
  "messages",
]
[[models]]
name = "chat"
targets = [
  { upstream = "a" },
]
[[upstreams]]
name = "b"
"""
    )

    assert [
        re.findall(r"^(.+?) .*\(line (\d+)\)", problem)[0] for problem in sorted(place.problems(with_lines=True))
    ] == [
        ("base_url", "23"),
        ("ctx", "9"),
        ("headers", "13"),
        ("model", "21"),
        ("port", "2"),
        ("quue", "3"),
        ("unsupported", "16"),
    ]
    assert f"ctx of models in {file}, number 2 (line 9): 0 is not a whole number, 1 or more." in place.problems(
        with_lines=True
    )


MODEL = '[[models]]\nname = "x"\n'
CONTRADICTIONS = [
    # what the file says, its line, what is wrong there
    ('[[models]]\npath = "echo"\n\n[[models]]\npath = "echo"', 4, "two models are called echo"),
    (UP + UP, 3, "two upstreams are called a"),
    (UP + '\n[aliases]\nb = "c"\nx = "x"', 6, "x stands for itself"),
    (UP + '[aliases]\nb = "c"\nx = "b"', 5, "b is an alias itself; name the model, c."),
    ('[aliases]\nb = "c"', 2, "no model is called c"),
    ('[aliases]\nhansard-tiny = "hansard-tiny"', 2, "is a model already"),
    (MODEL + 'targets = [{ upstream = "b", model = "m" }]', 3, "no upstream is called b; add it under [[upstreams]]."),
    (UP + MODEL + 'targets = [{ upstream = "b", model = "m" }]', 5, "no upstream is called b; these are there: a."),
    (MODEL + 'targets = [{ model = "echo" }]', 3, "no model here is called echo"),
    (MODEL + 'targets = [{ model = "x" }]', 3, "x is a target of itself"),
    (
        UP + MODEL + 'targets = [{ model = "y" }]\n[[models]]\nname = "y"\ntargets = [{ upstream = "a", model = "m" }]',
        5,
        "y is only a name for targets",
    ),
    (
        UP + MODEL + 'targets = [{ upstream = "a", model = "m" }, { upstream = "a", model = "m", weight = 2 }]',
        5,
        "the same target is in the list already",
    ),
    (UP + MODEL + 'path = "echo"\ntargets = [{ upstream = "a", model = "m" }]', 5, "has no place beside targets"),
    (UP + MODEL + 'targets = [{ upstream = "a", model = "m", weight = 0 }]', 5, "0 is not a number above 0"),
    (UP + 'key = "client"\nkey_file = "KEY"', 3, "only one of them can hold"),
    (UP + 'key_file = "KEY"\nkey_env = "THEIRS"', 3, "only one of them can hold"),
    (UP + 'headers = { authorization = "Basic x" }\nkey_file = "KEY"', 3, "both set Authorization"),
    (UP + 'headers = { Content-Length = "1" }', 3, "says where a request ends"),
    (UP + "breaker_longest_pause_s = 1", 3, "the longest pause is the shorter one"),
    (UP + "retry_pause_s = 5", 3, "the longest pause is the shorter one"),
    (UP + "retry_share = 1.5", 3, "1.5 is not a number from 0 to 1."),
    (UP + "breaker_probes = 0", 3, "0 is not a whole number, 1 or more."),
    ('upstream_key_file = "KEY"', 1, "goes to one upstream, and 0 have no key of their own"),
    ('upstream_key_file = "KEY"\n' + UP + '[[upstreams]]\nbase_url = "http://b"', 1, "and 2 have no key of their own"),
    ('mmproj = "KEY"', 1, "belongs to one model file, and there are 0"),
    ('api_key_file = "KEY"\napi_key = "x"', 2, "a key does not belong in this file"),
]


@pytest.mark.parametrize(("text", "line", "problem"), CONTRADICTIONS)
def test_what_cannot_hold_together_is_named_with_its_line(place: Place, text: str, line: int, problem: str) -> None:
    (place.config_dir / "KEY").write_text("sk-x")
    file = place.toml(text)

    [told] = place.problems({}, {"THEIRS": "sk-y"}, with_lines=True)

    assert problem in told
    assert f"{file}" in told.partition(" (line ")[0]
    assert f"(line {line})" in told


def test_an_alias_stands_for_one_model(place: Place) -> None:
    flags = {"upstreams": ["http://a"], "aliases": ["x=a", "x=b"]}

    assert place.problems(flags) == ["--alias: x stands for a and for b; keep one."]


def test_all_mistakes_are_reported_together(place: Place) -> None:
    file = place.toml('queue = "x"\nquue = 1\n[[models]]\nctx = 0\npath = "builtin"\nparallel = 0\n')

    problems = place.problems(
        {"port": "x", "upstreams": ["ftp://a", "http://b", "nope"], "host": "0.0.0.0"},
        {"HANSARD_LOG": "loud", "HANSARD_LGO": "off"},
    )

    address = "is not an address; write one like http://localhost:11434/v1."
    assert sorted(problems) == sorted(
        [
            "--port: 'x' is not a whole number from 0 to 65535.",
            f"ctx of models in {file}, number 1: 0 is not a whole number, 1 or more.",
            f"parallel of models in {file}, number 1: 0 is not a whole number, 1 or more.",
            f"--upstream: 'ftp://a' {address}",
            f"--upstream: this {address}",
            f"queue in {file}: 'x' is not a whole number, 0 or more.",
            "HANSARD_LOG: 'loud' is not one of text, json, off.",
            "HANSARD_LGO: unknown; did you mean HANSARD_LOG?",
            f"quue in {file}: unknown; did you mean queue in {file}?",
        ]
    )


def test_what_kubernetes_sets_for_a_service_of_our_name_is_not_ours(place: Place) -> None:
    # https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    environ = {
        "HANSARD_SERVICE_HOST": "10.0.0.11",
        "HANSARD_SERVICE_PORT": "6379",
        "HANSARD_SERVICE_PORT_HTTP": "6379",
        "HANSARD_PORT": "tcp://10.0.0.11:6379",
        "HANSARD_PORT_6379_TCP": "tcp://10.0.0.11:6379",
        "HANSARD_PORT_6379_TCP_PROTO": "tcp",
        "HANSARD_PORT_6379_TCP_PORT": "6379",
        "HANSARD_PORT_6379_TCP_ADDR": "10.0.0.11",
    }

    assert place.resolve({}, environ).port == 8000


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.5", False),
        ("example.com", False),
    ],
)
def test_loopback(host: str, inside: bool) -> None:
    assert is_loopback(host) is inside


def test_beyond_loopback_with_a_key(place: Place) -> None:
    assert place.resolve({"host": "0.0.0.0"}, {"HANSARD_API_KEY": "k"}).host == "0.0.0.0"


def test_every_field_has_an_origin(place: Place) -> None:
    settings: Any = place.resolve()

    assert set(settings.origins) == set(Settings.__struct_fields__) - {"origins"}


def test_keys_come_from_systemds_credentials_too(place: Place, tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "api_key").write_text("sk-credential\n")
    (credentials / "pgpass").write_text("none of ours")
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}

    settings = place.resolve({}, environ)
    assert settings.api_key == "sk-credential"
    assert settings.origins["api_key"] == "credential api_key"
    # What somebody says wins over what lies there.
    assert place.resolve({}, {**environ, "HANSARD_API_KEY": "sk-variable"}).api_key == "sk-variable"


def test_a_credential_that_is_no_key_is_refused_by_its_name(place: Place, tmp_path: Path) -> None:
    (tmp_path / "api_key").write_text("two words")

    [problem] = place.problems({}, {"CREDENTIALS_DIRECTORY": str(tmp_path)})

    assert problem.startswith("credential api_key: ")
    assert "two words" not in problem
