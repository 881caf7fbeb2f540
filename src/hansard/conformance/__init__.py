"""The conformance suite: what a chat completions server does, measured over HTTP, whoever wrote the server.

Nothing of Hansard is imported here, so that the judge does not share the mistakes of the judged.

To add a family of checks
    Write ``families/<family>.py``; it is found by being there. A check is a function with ``@check``
    (see ``checks``) that takes a ``Probe`` and raises ``Mismatch``, mostly through ``expect``; its name
    is ``<operation>.<function>``, its docstring the rule. Many rules of one form are a table: a tuple of
    ``Check`` objects at the top level of the module is found as well.
    Whatever a server may refuse by name (decision 36) goes into ``demands``; where it does refuse, the
    check is not applicable. Nothing else excuses it, save ``raise NotApplicable(reason)`` for what the
    documents leave open.
To show that it can fail
    Write ``tests/conformance/mutants/<family>.py`` with a tuple ``MUTANTS``. Each breaks one rule of a
    sound server and names the checks that must fail for it. A test demands that every check of the suite
    is named by a mutant, and fails under it.
"""
