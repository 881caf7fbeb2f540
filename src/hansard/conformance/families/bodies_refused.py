"""What create refuses of fields that do not go together, and of bodies as a whole."""

from __future__ import annotations

import json

from hansard.conformance import expect
from hansard.conformance.checks import OFFICIAL, REPORTED, check, decision
from hansard.conformance.families.fields_refused import TOOL
from hansard.conformance.probe import COMPLETIONS, Probe
from hansard.conformance.tables import refuses

COMBINATIONS = (
    refuses(
        "stream_options_without_stream",
        "stream_options without stream are 400.",
        REPORTED,
        fields={"stream_options": {"include_usage": True}},
        param="stream_options",
        code=None,
        message="The 'stream_options' parameter is only allowed when 'stream' is enabled.",
    ),
    refuses(
        "metadata_without_store",
        "metadata without store is 400.",
        REPORTED,
        decision(17),
        fields={"metadata": {"a": "b"}},
        message="The 'metadata' parameter is only allowed when 'store' is enabled.",
    ),
    refuses(
        "top_logprobs_without_logprobs",
        "top_logprobs without logprobs is 400.",
        REPORTED,
        fields={"top_logprobs": 2},
        param="top_logprobs",
        code=None,
        message="The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
        demands=("logprobs", "top_logprobs"),
    ),
    refuses(
        "both_token_caps",
        "max_tokens beside max_completion_tokens is 400 invalid_parameter_combination.",
        REPORTED,
        fields={"max_tokens": 5, "max_completion_tokens": 5},
        param="max_tokens",
        code="invalid_parameter_combination",
        message="Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
    ),
    refuses(
        "tool_choice_without_tools",
        "tool_choice without tools is 400.",
        REPORTED,
        fields={"tool_choice": "auto"},
        param="tool_choice",
        code=None,
        message="Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
        demands=("tool_choice",),
    ),
    refuses(
        "parallel_tool_calls_without_tools",
        "parallel_tool_calls without tools is 400.",
        REPORTED,
        fields={"parallel_tool_calls": True},
        param="parallel_tool_calls",
        code=None,
        message="Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed "
        "when 'tools' are specified.",
    ),
    refuses(
        "parallel_tool_calls_of_another_type",
        "'parallel_tool_calls' that is no boolean is 400 invalid_type.",
        OFFICIAL,
        REPORTED,
        fields={"tools": [TOOL], "parallel_tool_calls": "yes"},
        param="parallel_tool_calls",
        code="invalid_type",
        message="Invalid type for 'parallel_tool_calls': expected a boolean, but got a string instead.",
        demands=("tools",),
    ),
    refuses(
        "max_tokens_of_another_type",
        "'max_tokens' that is no integer is 400 invalid_type.",
        OFFICIAL,
        REPORTED,
        fields={"max_tokens": "5"},
        param="max_tokens",
        code="invalid_type",
        message="Invalid type for 'max_tokens': expected an integer, but got a string instead.",
    ),
    refuses(
        "audio_output_without_its_form",
        "modalities with audio need 'audio': 400 missing_required_parameter.",
        OFFICIAL,
        fields={"modalities": ["text", "audio"]},
        param="audio",
        code="missing_required_parameter",
        demands=("modalities",),
    ),
    refuses(
        "json_mode_without_the_word",
        "response_format json_object needs the word json in the messages.",
        REPORTED,
        fields={"response_format": {"type": "json_object"}},
        param="messages",
        code=None,
        message="'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
        demands=("response_format",),
    ),
)

WHOLE = (
    refuses(
        "a_missing_model",
        "No model is 400, in the live API's words.",
        REPORTED,
        fields={"model": ...},
        param=None,
        code=None,
        message="you must provide a model parameter",
    ),
    refuses(
        "missing_messages",
        "No messages are 400 missing_required_parameter.",
        OFFICIAL,
        REPORTED,
        fields={"messages": ...},
        param="messages",
        code="missing_required_parameter",
        message="Missing required parameter: 'messages'.",
    ),
    refuses(
        "an_unknown_field",
        "A field that the API does not have is 400 unknown_parameter.",
        REPORTED,
        fields={"reasoning": {"effort": "low"}},
        param="reasoning",
        code="unknown_parameter",
        message="Unknown parameter: 'reasoning'.",
    ),
    refuses(
        "an_unknown_field_within",
        "So is a key that an object of the request does not have, with the whole path.",
        REPORTED,
        fields={"stream": True, "stream_options": {"include_everything": True}},
        param="stream_options.include_everything",
        code="unknown_parameter",
    ),
    refuses(
        "the_first_of_several_mistakes",
        "Of several mistakes the first in the document is told.",
        REPORTED,
        fields={"top_p": 5, "temperature": 5},
        param="top_p",
        code="decimal_above_max_value",
    ),
    refuses(
        "the_first_of_mistakes_of_two_kinds",
        "Also where the first is one of fields that do not go together.",
        REPORTED,
        fields={"stream_options": {}, "temperature": 5},
        param="stream_options",
    ),
)


@check("create", REPORTED)
def refuses_an_unknown_model(probe: Probe) -> None:
    """A model that nobody serves is 404 model_not_found, in the live API's words."""
    expect.refusal(
        probe.create(model="no-such-model-here"),
        404,
        param=None,
        code="model_not_found",
        message="The model `no-such-model-here` does not exist or you do not have access to it.",
    )


@check("create", REPORTED)
def refuses_broken_json(probe: Probe) -> None:
    """A body that is no JSON is 400, in the live API's words."""
    reply = probe.send("POST", COMPLETIONS, body=b'{"model": "m", "messages": [')

    expect.refusal(reply, 400, param=None, code=None)
    expect.that(
        reply.error["message"].startswith("We could not parse the JSON body of your request."),
        "We could not parse the JSON body of your request. (HINT: ...",
        reply.error["message"],
    )


@check("create", OFFICIAL)
def refuses_a_number_of_five_thousand_digits(probe: Probe) -> None:
    """JSON sets no bound on a number, so one past all bounds is its field's mistake, and the server goes on."""
    fields = b'"messages":[{"role":"user","content":"Hi"}],"n":' + b"9" * 5_000
    body = b'{"model":' + json.dumps(probe.model).encode() + b"," + fields + b"}"

    expect.refusal(probe.send("POST", COMPLETIONS, body=body), 400, param="n", code="integer_above_max_value")
    probe.accept(probe.create())


@check("create", OFFICIAL)
def refuses_json_that_is_no_object(probe: Probe) -> None:
    """A body that is an array is 400 with the envelope."""
    expect.refusal(probe.send("POST", COMPLETIONS, body=b"[1, 2]"), 400)


@check("create", OFFICIAL)
def refuses_an_empty_body(probe: Probe) -> None:
    """No body at all is 400 with the envelope."""
    expect.refusal(probe.send("POST", COMPLETIONS, body=b""), 400)


@check("create", OFFICIAL)
def refuses_deep_nesting(probe: Probe) -> None:
    """A body of ten thousand nested arrays is 400 with the envelope, and the server goes on."""
    deep = b'{"model":"m","messages":' + b"[" * 10_000 + b"]" * 10_000 + b"}"

    expect.refusal(probe.send("POST", COMPLETIONS, body=deep), 400)
    probe.accept(probe.create())
