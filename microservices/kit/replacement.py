"""A function or class of this service replaced by the one that `REPLACED` holds.

`REPLACED` is JSON: `module` (such as `microservices.api_gateway.breaker`), `name` in it (such as
`Breaker.is_failure`) and `source`. When the service imports the module, the definition in its text is
exchanged before the text is compiled, as if the file had been edited: decorators, the module's other names and
references to the function stay what they are. The service composes nothing before.

The source runs in this process with all that the process may do. Limits bound its CPU time, its memory, its files
and the time of the start; they are no sandbox.
"""

import ast
import faulthandler
import json
import linecache
import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

from microservices.kit.settings import BadSetting

START_SECONDS = 15.0
"""A service that has not started by then writes where it is to its log, and ends."""

LIMITS = {
    resource.RLIMIT_CPU: 600,  # seconds of CPU time, then the process is killed
    resource.RLIMIT_DATA: 2 << 30,  # bytes, then MemoryError; macOS does not enforce it
    resource.RLIMIT_FSIZE: 1 << 30,  # bytes of one file
    resource.RLIMIT_CORE: 0,
}

FAR = 1_000_000
"""Added to the lines of the source, so that a traceback through the module's own code shows whose line it is."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@contextmanager
def replacing(text: str, package: str) -> Iterator[None]:
    """Replace what `REPLACED` names while the block imports and composes the service in `package`.

    Raises:
        BadSetting: the text is not usable, or the block imports no such module.
    """
    finder = _Finder(text, package)
    limit_this_process()
    faulthandler.dump_traceback_later(START_SECONDS, exit=True)
    sys.meta_path.insert(0, finder)
    yield
    if not finder.used:
        raise BadSetting(
            f"REPLACED: this version of the service does not import {finder.module}, so nothing would change"
        )


def limit_this_process() -> None:
    """Set the limits, and forbid to raise them again; those that this system does not have are passed over."""
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    for kind, most in {**LIMITS, resource.RLIMIT_NOFILE: open_files}.items():
        _, hard = resource.getrlimit(kind)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))


class _Finder(MetaPathFinder):
    """Finds the one module with a replaced definition."""

    def __init__(self, text: str, package: str) -> None:
        try:
            given = json.loads(text)
            self.module, self._name, self._source = (
                str(given[key]) for key in ("module", "name", "source")
            )
        except (ValueError, TypeError, LookupError):
            raise BadSetting("REPLACED should be JSON with module, name and source") from None
        if not self.module.startswith((f"{package}.", "microservices.kit.")):
            raise BadSetting(f"REPLACED: {self.module} is not a module of this service")
        if self.module in sys.modules:
            raise BadSetting(f"REPLACED: {self.module} is in use before anything can be replaced")
        self.used = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's spec with a loader that exchanges the definition; None for any other module."""
        if fullname != self.module:
            return None
        self.used = True
        spec = PathFinder.find_spec(fullname, path)
        if spec and spec.origin:
            spec.loader = _Loader(fullname, spec.origin, self._name, self._source)
        return spec


class _Loader(SourceFileLoader):
    """Loads a module from its file with one definition exchanged."""

    def __init__(self, module: str, path: str, name: str, source: str) -> None:
        super().__init__(module, path)
        self._replaced_name, self._replacing_source = name, source

    def get_code(self, fullname: str) -> CodeType:
        """Return the module's code; no cached bytecode is read or written."""
        name, source = self._replaced_name, self._replacing_source
        file = f"<your {name.rpartition('.')[2]}>"
        try:
            tree = exchanged(self.get_source(fullname) or "", name, source)
            code: CodeType = compile(tree, self.path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, LookupError) as error:
            raise BadSetting(f"REPLACED: {name} cannot be replaced: {error}") from None
        # For tracebacks in the log.
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        return with_own_lines(code, file)


def exchanged(module: str, name: str, source: str) -> ast.Module:
    """Return the tree of a module in which the definition `name` is that of `source`.

    Imports, helpers and constants of the source stand before the statement that contains the definition. Annotations of
    its functions are not evaluated: they may name what the module defines later.

    Raises:
        LookupError: the module or the source has no such definition.
    """
    tree, own = ast.parse(module), ast.parse(source)
    ast.increment_lineno(own, FAR)
    first, *rest = name.split(".")
    top, index = _position(tree.body, first)
    body: list[ast.stmt] = tree.body
    for part in rest:
        body = top.body
        top, index = _position(body, part)
    new = only_definition(own, name)
    new.name, new.decorator_list = top.name, top.decorator_list
    for decorator in new.decorator_list:
        for node in ast.walk(decorator):
            ast.copy_location(
                node, new
            )  # else the function's code would begin at the original's line
    for node in ast.walk(own):
        _quote_annotations(node)
    before = [node for node in own.body if node is not new and not _says_nothing(node)]
    body[index] = new
    place = next(i for i, node in enumerate(tree.body) if getattr(node, "name", "") == first)
    tree.body[place:place] = before
    return tree


def only_definition(source: ast.Module, name: str) -> Definition:
    """Return the definition in a source that stands for `name`: the one of its last part's name, or the only one."""
    found = [node for node in source.body if isinstance(node, Definition)]
    last = name.rpartition(".")[2]
    named = [node for node in found if node.name == last]
    if not named and len(found) != 1:
        raise LookupError(f"the source defines no {last}")
    return named[-1] if named else found[0]


def with_own_lines(code: CodeType, file: str) -> CodeType:
    """Return a code object in which what came from the source has the source's lines, and `file` as its file."""
    constants = tuple(
        with_own_lines(value, file) if isinstance(value, CodeType) else value
        for value in code.co_consts
    )
    if code.co_firstlineno <= FAR:
        return code.replace(co_consts=constants)
    # The table of lines counts from the first one.
    return code.replace(
        co_consts=constants, co_filename=file, co_firstlineno=code.co_firstlineno - FAR
    )


def _position(body: Sequence[ast.stmt], name: str) -> tuple[Definition, int]:
    for index, node in reversed(list(enumerate(body))):
        if isinstance(node, Definition) and node.name == name:
            return node, index
    raise LookupError(f"there is no {name}")


def _quote_annotations(node: ast.AST) -> None:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns:
        node.returns = _quoted(node.returns)
    if isinstance(node, ast.arg) and node.annotation:
        node.annotation = _quoted(node.annotation)


def _quoted(annotation: ast.expr) -> ast.expr:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation
    return ast.copy_location(ast.Constant(ast.unparse(annotation)), annotation)


def _says_nothing(node: ast.stmt) -> bool:
    """Return whether a statement is a docstring, or an import that only the first line of a module may have."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"
