"""What a student's source has to be before a service runs it. Everything here reads the source and runs nothing.

The list of imports keeps a function about its problem, and gives a clear message. It is no sandbox: Python code can
reach whatever its process can.
"""

import ast
import builtins
import symtable
from collections.abc import Iterator

from environment.errors import LabError
from environment.replacing import MOST_BYTES, Replacement
from environment.replacing.originals import Definition, Original, find_original, imported

ALLOWED = frozenset(
    {
        *("__future__", "abc", "asyncio", "base64", "bisect", "collections", "contextlib", "copy"),
        *("dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "hashlib"),
        *("heapq", "itertools", "json", "logging", "math", "numbers", "operator", "random", "re"),
        *("statistics", "string", "threading", "time", "types", "typing", "uuid"),
    }
)
"""Modules of the standard library that a replacement may import."""

REFUSED = frozenset(["__import__", "breakpoint", "compile", "eval", "exec", "input", "open"])
"""Builtin functions that load other code, or wait for a person."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def checked(service: str, target: str, source: str) -> Replacement:
    """Return a source as the replacement of what `target` names in a service.

    Raises:
        LabError: it cannot be one; the message has the line, and its code, that has to change.
        UnknownName: the service has nothing of that name.
    """
    return checked_for(find_original(service, target), source)


def checked_for(original: Original, source: str) -> Replacement:
    """Return a source as the replacement of a definition. Raises `LabError` as `checked` does."""
    text = _Text(source, original)
    tree = text.parsed()
    new = text.definition(tree)
    text.require_statements(tree)
    text.require_decorators(new)
    text.require_imports(tree)
    text.require_same_kind(original.node, new)
    text.require_names(tree)
    replacement = Replacement(original.target, original.module, original.name, source)
    size = len(replacement.variable().encode())
    if size > MOST_BYTES:
        raise LabError(
            f"{text.yours} has {size:,} bytes with its target; a service takes at most {MOST_BYTES:,}. Shorten it."
        )
    return replacement


class _Text:
    """A source and what it stands for; each method raises `LabError` with the first line that is wrong."""

    def __init__(self, source: str, original: Original) -> None:
        self._source, self._original = source, original
        self._short = original.name.rpartition(".")[2]
        self.yours = f"Your `{self._short}`"

    def parsed(self) -> ast.Module:
        """Return the tree of the source."""
        try:
            self._source.encode()
            tree = ast.parse(self._source)
            ast.unparse(tree)  # what is nested too deeply for this is so for the service as well
            compile(
                tree, "<source>", "exec", dont_inherit=True
            )  # `return` outside of a function, and the like
            return tree
        except SyntaxError as error:
            raise LabError(f"{self.yours} is not valid Python: {self._syntax(error)}.") from None
        except (RecursionError, MemoryError):
            raise LabError(
                f"{self.yours} is nested too deeply. Write it in smaller steps."
            ) from None
        except ValueError as error:  # a null byte, or half a character
            raise LabError(f"{self.yours} is not valid text: {error}.") from None

    def definition(self, tree: ast.Module) -> Definition:
        """Return the definition that stands for the original."""
        found = [node for node in tree.body if isinstance(node, Definition)]
        named = [node for node in found if node.name == self._short]
        if named or len(found) == 1:
            return (named or found)[-1]
        names = ", ".join(f"`{node.name}`" for node in found) or "no function and no class"
        raise LabError(
            f"Your source defines {names}: define `{self._short}`, which stands for {self._original.target}."
        )

    def require_statements(self, tree: ast.Module) -> None:
        """Allow imports, definitions, assignments and docstrings outside of functions."""
        allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, *Definition.__args__)
        for node in tree.body:
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if not docstring and not isinstance(node, allowed):
                raise self._wrong(
                    node, "outside of functions only imports, definitions and assignments may stand"
                )

    def require_decorators(self, new: Definition) -> None:
        """Refuse decorators, since those of the original stay."""
        own, kept = _decorators(new), _decorators(self._original.node)
        if own and own != kept:
            stay = ", ".join(f"`@{text}`" for text in kept) or "none"
            raise self._wrong(
                new.decorator_list[0],
                f"the decorators of the original stay ({stay}), so remove yours",
            )

    def require_imports(self, tree: ast.Module) -> None:
        """Refuse imports that are neither on the list, nor of the service, nor what its module imports."""
        own = {self._original.package, "microservices.kit"}
        also = {name.partition(".")[0] for name in self._original.imports()}
        also -= {"microservices", ""}
        for node in ast.walk(tree):
            for module in imported(node):
                ours = any(module == name or module.startswith(f"{name}.") for name in own)
                if not ours and module.partition(".")[0] not in ALLOWED | also:
                    raise self._wrong(
                        node,
                        f"`{module}` may not be imported here. Allowed are {', '.join(sorted(own))}, "
                        f"what {self._original.file.name} imports itself, and of the standard library: "
                        f"{', '.join(sorted(ALLOWED - {'__future__'}))}",
                    )

    def require_same_kind(self, original: Definition, new: Definition) -> None:
        """Require a class for a class, and a function with the same parameters for a function."""
        if isinstance(original, ast.ClassDef) != isinstance(new, ast.ClassDef):
            is_class = isinstance(original, ast.ClassDef)
            raise self._wrong(
                new,
                f"{self._original.target} is a {'class' if is_class else 'function'}, so write a "
                f"{'class' if is_class else 'function'}",
            )
        if isinstance(original, Function) and isinstance(new, Function):
            return self._require_same_function(original, new)
        assert isinstance(original, ast.ClassDef)
        assert isinstance(new, ast.ClassDef)
        bases = ", ".join(ast.unparse(base) for base in original.bases)
        if bases != ", ".join(ast.unparse(base) for base in new.bases):
            raise self._wrong(new, f"the service's own is `class {original.name}({bases})`")
        own = {node.name: node for node in new.body if isinstance(node, Function)}
        needed = [node for node in original.body if isinstance(node, Function)]
        needed = [node for node in needed if node.name == "__init__" or node.name[0] != "_"]
        if missing := [node.name for node in needed if node.name not in own]:
            raise self._wrong(
                new, f"the service also calls {', '.join(f'`{name}`' for name in missing)}"
            )
        for node in needed:
            if (kept := _decorators(node)) != _decorators(own[node.name]):
                shown = " ".join(f"`@{text}`" for text in kept) or "no decorator"
                raise self._wrong(
                    own[node.name], f"the service's own has {shown}, so give yours it too"
                )
            self._require_same_function(node, own[node.name])

    def require_names(self, tree: ast.Module) -> None:
        """Refuse a name that neither the source nor the original's module defines: running it would fail."""
        known = self._original.names() | set(dir(builtins)) - REFUSED
        bare = _WithoutAnnotations().visit(ast.parse(self._source))
        table = symtable.symtable(ast.unparse(bare), "<source>", "exec")
        known |= {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
        known |= {s.get_name() for s in table.get_symbols() if s.is_namespace()}
        symbols = [symbol for each in _tables(table) for symbol in each.get_symbols()]
        known |= {s.get_name() for s in symbols if s.is_declared_global() and s.is_assigned()}
        used = {symbol.get_name() for symbol in symbols if symbol.is_global()}
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id in used - known:
                if node.id in REFUSED:
                    raise self._wrong(node, f"`{node.id}` may not be used here")
                if isinstance(node.ctx, ast.Load):
                    raise self._wrong(
                        node,
                        f"neither your source nor {self._original.file.as_posix()} defines `{node.id}`. "
                        "Define it inside your function, or give the whole source as a text or a file",
                    )

    def _require_same_function(self, original: Function, new: Function) -> None:
        if isinstance(original, ast.AsyncFunctionDef) != isinstance(new, ast.AsyncFunctionDef):
            kind = "async def" if isinstance(original, ast.AsyncFunctionDef) else "def"
            raise self._wrong(
                new, f"the service's own begins with `{kind}`, so begin yours with it"
            )
        if _parameters(original.args) != _parameters(new.args):
            raise self._wrong(
                new,
                f"the service calls `{original.name}({_shown(original.args)})`, and yours is "
                f"`{new.name}({_shown(new.args)})`. Keep the parameters, their names and their order",
            )

    def _wrong(self, node: ast.AST, reason: str) -> LabError:
        number = int(getattr(node, "lineno", 1))
        return LabError(f"{self.yours}, {line_of(self._source, number)}: {reason}.")

    def _syntax(self, error: SyntaxError) -> str:
        return f"{line_of(self._source, error.lineno or 1)}: {error.msg}"


def line_of(source: str, number: int) -> str:
    """Return a line as messages quote it: its number, and its code."""
    lines = source.splitlines()
    code = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    return f"line {number}, `{code[:100]}`" if code else f"line {number}"


def _decorators(node: Definition) -> list[str]:
    return [ast.unparse(decorator) for decorator in node.decorator_list]


def _parameters(arguments: ast.arguments) -> object:
    """Return what a caller has to know of parameters: their kinds, names and order, and which have defaults."""
    return (
        [arg.arg for arg in arguments.posonlyargs],
        [arg.arg for arg in arguments.args],
        len(arguments.defaults),
        [
            (arg.arg, default is None)
            for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        ],
        arguments.vararg is None,
        arguments.kwarg is None,
    )


def _shown(arguments: ast.arguments) -> str:
    bare = _WithoutAnnotations().visit(ast.parse(f"def f({ast.unparse(arguments)}): ..."))
    return ast.unparse(bare.body[0].args)


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)


class _WithoutAnnotations(ast.NodeTransformer):
    """Removes the annotations of parameters and results: a service does not evaluate those of a replacement."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        """Remove a parameter's annotation."""
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Remove the annotation of a function's result."""
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        """Remove the annotation of an asynchronous function's result."""
        node.returns = None
        return self.generic_visit(node)
