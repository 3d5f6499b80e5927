"""Nothing that comes from outside is ever run as code, or put into the text of a script, a statement or a log line."""

from __future__ import annotations

import ast
import re
import tomllib
from typing import Any, Final

from jobqueue.scripts import Script
from tests.security.source import ROOT, Source, is_text_of_ours, sources

FORBIDDEN_MODULES: Final = frozenset(
    {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "yaml", "jsonpickle", "code", "codeop"}
)
FORBIDDEN_CALLS: Final = re.compile(
    r"(builtins\.)?(eval|exec|compile|__import__)"
    r"|os\.(system|popen|exec\w+|spawn\w+|posix_spawn\w*)"
    r"|(asyncio\.)?(subprocess\.)?(create_subprocess_shell|getoutput|getstatusoutput)"
    r"|pickle\..*|marshal\..*|yaml\..*"
)
BECOMES_ITSELF_AGAIN: Final = "jobqueue/cli/spare.py"
"""Python anew, with the words with which it was started."""
LOG_CALL: Final = re.compile(r"(_?log|_?logger|logging)\.(debug|info|warning|error|exception|critical)")
ASK_FOR_A_SCRIPT: Final = frozenset({"EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FUNCTION", "SCRIPT"})
MAKERS_OF_SCRIPTS: Final = frozenset({"jobqueue/scripts.py", "jobqueue/children.py"})


def test_no_module_is_imported_that_makes_code_or_objects_of_data() -> None:
    imported = {
        (source.name, name)
        for source in sources()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
        if name.partition(".")[0] in FORBIDDEN_MODULES
    }

    assert imported == set()


def test_no_text_is_run_as_code_and_no_shell_is_asked() -> None:
    found = [
        source.at(call)
        for source in sources()
        for name, call in source.calls()
        if FORBIDDEN_CALLS.fullmatch(name) or any(keyword.arg == "shell" for keyword in call.keywords)
        if (source.name, name) != (BECOMES_ITSELF_AGAIN, "os.execv")
    ]

    assert found == []


def test_the_text_of_a_log_line_is_ours_and_the_rest_its_arguments() -> None:
    """A `%` in a job's name would otherwise be read as a place for an argument, and the line be lost."""
    wrong = [
        source.at(call)
        for source in sources()
        for name, call in source.calls()
        if LOG_CALL.fullmatch(name) and not (call.args and _is_ours(source, call.args[0]))
    ]

    assert wrong == []


def test_the_text_of_a_statement_is_ours_and_the_rest_its_parameters() -> None:
    from_elsewhere = [
        source.at(call)
        for source in sources()
        for name, call in source.calls()
        if (name == "text" and source.imports("sqlalchemy", "text")) or name.endswith(".exec_driver_sql")
        if not (is_text_of_ours(call.args[0]) or _is_made_of_ours(source, call.args[0]))
    ]
    put_together = [
        source.at(node)
        for source in sources()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.JoinedStr) and _looks_like_sql(node) and not is_text_of_ours(node)
    ]

    assert from_elsewhere + put_together == []


def test_scripts_are_sent_by_one_file_and_made_of_files_by_two() -> None:
    senders = {
        source.name
        for source in sources()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant) and node.value in ASK_FOR_A_SCRIPT
    }
    makers = {
        source.name
        for source in sources()
        for name, _ in source.calls()
        if name in ("Script", "Script.of", "cls")
        if name != "cls" or source.name == "jobqueue/scripts.py"
    }

    assert senders == {"jobqueue/redis/client.py"}
    assert makers == MAKERS_OF_SCRIPTS


def test_a_script_says_only_what_files_say() -> None:
    """Each is asked for by a name that stands in the source, so their number is fixed."""
    wrong = [
        source.at(call)
        for source in sources()
        for name, call in source.calls()
        if name in ("own", "shipped", "around") and source.name not in MAKERS_OF_SCRIPTS
        for argument in call.args
        if not is_text_of_ours(argument) and not _is_a_choice_among_ours(argument)
    ]

    assert wrong == []
    assert Script.of("x", "return 1").sha == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"


def test_ruff_looks_for_insecure_code_everywhere_but_in_tests() -> None:
    """Each exception stands in pyproject.toml, with its reason beside it; none is made in the source."""
    lint: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    loosened = [rule for rule in lint["ignore"] if rule.startswith("S")]

    assert "S" in lint["select"]
    assert loosened == ["S311", "S603", "S606", "S607"]
    assert not [
        pattern
        for pattern, rules in lint["per-file-ignores"].items()
        if not pattern.startswith("tests/") and any(rule.startswith("S") for rule in rules)
    ]


def _is_ours(source: Source, argument: ast.expr) -> bool:
    """True for a text of ours, or for a name that the file gives to such texts only."""
    if is_text_of_ours(argument) or not isinstance(argument, ast.Name):
        return is_text_of_ours(argument)
    given = [
        node.value
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id == argument.id
    ]
    return bool(given) and all(map(is_text_of_ours, given))


def _is_made_of_ours(source: Source, argument: ast.expr) -> bool:
    """True for a call of a function of the same file that returns texts of ours."""
    if not isinstance(argument, ast.Call) or not isinstance(argument.func, ast.Name):
        return False
    functions = [
        node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef) and node.name == argument.func.id
    ]
    returned = [node.value for function in functions for node in ast.walk(function) if isinstance(node, ast.Return)]
    return bool(returned) and all(value is not None and is_text_of_ours(value) for value in returned)


def _looks_like_sql(node: ast.JoinedStr) -> bool:
    words = [part.value for part in node.values if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return (
        re.match(r"(SELECT|INSERT INTO|UPDATE|DELETE FROM|ALTER|CREATE|DROP|PRAGMA|LISTEN|NOTIFY) ", "".join(words))
        is not None
    )


def _is_a_choice_among_ours(argument: ast.expr) -> bool:
    """True for a name of a variable of the function: BullMQ's add and end scripts are chosen among some of them."""
    return isinstance(argument, ast.Name) and argument.id == "shipped_name"
