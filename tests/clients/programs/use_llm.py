"""Simon Willison's `llm`, as its users call it: models in extra-openai-models.yaml, then the command line.

It has no way to say `store`, so the server runs with `--store always`; and it lists nothing, so `hansard` does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import llm
from report import report

RUN = os.environ["RUN"]
FRANCE = "What is the capital of France?"

MODELS = """
- model_id: hansard
  model_name: hansard-tiny
  api_base: http://127.0.0.1:8000/v1
  api_key_name: hansard
  supports_schema: true
  supports_tools: true
- model_id: hansard-search
  model_name: hansard-tiny
  api_base: http://127.0.0.1:8000/v1
  api_key_name: hansard
  headers:
    X-Hansard-Metadata: '{"team": "search", "run": "42"}'
"""
GET_WEATHER = '''
def get_weather(location: str) -> str:
    """Get the current weather in a city"""
    return '{"temperature": 21, "condition": "sunny"}'
'''


def command_line(*arguments):
    command = [sys.executable, "-m", "llm", *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout.strip()


def create():
    return command_line("-m", "hansard", FRANCE)


def stream():
    return list(llm.get_model("hansard").prompt(FRANCE))


def call_a_tool():
    question = "What is the weather in Paris today?"
    answer = command_line("-m", "hansard", "-o", "temperature", "0", "--functions", GET_WEATHER, question)
    logged = json.loads(command_line("logs", "-n", "2", "--json"))
    (call,) = [call for response in logged for call in response["tool_calls"]]
    return {"name": call["name"], "arguments": call["arguments"], "answer": answer}


def structured_output():
    schema = "name, age int"
    return json.loads(
        command_line("-m", "hansard", "-o", "temperature", "0", "--schema", schema, "Alice is 30 years old")
    )


def store_with_metadata():
    command_line("-m", "hansard-search", FRANCE)
    (logged,) = json.loads(command_line("logs", "-n", "1", "--json"))
    return logged["response_json"]["id"]


def list_stored():
    command = ["hansard", "completions", "list", "--meta", "team=search", "--meta", f"run={RUN}", "--quiet"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


settings = MODELS.replace("http://127.0.0.1:8000/v1", os.environ["OPENAI_BASE_URL"]).replace('"42"', f'"{RUN}"')
Path(llm.user_dir(), "extra-openai-models.yaml").write_text(settings, encoding="utf-8")
command_line("keys", "set", "hansard", "--value", os.environ["OPENAI_API_KEY"])
report(create, stream, call_a_tool, structured_output, store_with_metadata, list_stored)
