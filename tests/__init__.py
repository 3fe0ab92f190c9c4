"""Prepares the checks of types before anything imports passband."""

import functools
import inspect
import typing

import jaxtyping

_jaxtyped = jaxtyping.jaxtyped


def checked(function=None, *, typechecker):
    """Check arguments and results of a function as `jaxtyping.jaxtyped` does, in half of the time or less.

    `jaxtyped` builds two checks of each function. It binds the arguments of every call, and checks them a second time
    together with the result, so that its messages say more. Here the check is built by the first call, looks at
    everything once, and remembers the sizes of axes only if there are arrays among the annotations.

    Args:
        function: function or class; if it is None, a decorator is returned.
        typechecker: decorator that checks types, here of beartype.
    """
    if function is None:
        return functools.partial(checked, typechecker=typechecker)
    if not inspect.isfunction(function) or _runs_later(function) or _has_names(function):
        return _jaxtyped(function, typechecker=typechecker)
    check = functools.cache(lambda: _check(function, typechecker))

    @functools.wraps(function)
    def call(*args, **kwargs):
        return (function if jaxtyping.config.jaxtyping_disable else check())(*args, **kwargs)

    return call


def _check(function, typechecker):
    checks = typechecker(function)
    arrays = (isinstance(part, type) and issubclass(part, jaxtyping.AbstractArray) for part in _annotations(function))
    return _jaxtyped(checks, typechecker=None) if any(arrays) else checks


def _runs_later(function):
    """Return whether a call only prepares what runs later, because beartype would check its arguments later."""
    kinds = (inspect.isgeneratorfunction, inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    return any(kind(function) for kind in kinds)


def _has_names(function):
    """Return whether annotations are quoted: beartype needs their types, which often only type checkers import."""
    return any(isinstance(part, str | typing.ForwardRef) for part in _annotations(function))


def _annotations(function):
    """Return the annotations of a function and all their parts."""
    parts = [*function.__annotations__.values()]
    for part in parts:
        parts += typing.get_args(part)
    return parts


jaxtyping.jaxtyped = checked
