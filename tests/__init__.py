"""Prepares the checks of types before anything imports passband."""

import functools
import inspect
import typing

import jaxtyping

_jaxtyped = jaxtyping.jaxtyped


def checked(function=None, *, typechecker):
    """Check arguments and results of a function as `jaxtyping.jaxtyped` does, in half of the time or less.

    `jaxtyped` binds the arguments of every call and checks them again with the result. Only functions with arrays among
    their annotations need an own memory of axes, and one check of the arguments is enough. Its messages say more.

    Args:
        function: function or class; if it is None, a decorator is returned.
        typechecker: decorator that checks types, here of beartype.
    """
    if function is None:
        return functools.partial(checked, typechecker=typechecker)
    if not inspect.isfunction(function) or _is_lazy(function):
        return _jaxtyped(function, typechecker=typechecker)
    with_checks = typechecker(function)
    if any(map(_has_arrays, function.__annotations__.values())):
        with_checks = _jaxtyped(with_checks, typechecker=None)

    @functools.wraps(function)
    def call(*args, **kwargs):
        return (function if jaxtyping.config.jaxtyping_disable else with_checks)(*args, **kwargs)

    return call


def _is_lazy(function):
    """Return whether a call only prepares what runs later, so that beartype would check arguments later."""
    kinds = (inspect.isgeneratorfunction, inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    return any(kind(function) for kind in kinds)


def _has_arrays(annotation):
    """Return whether an annotation names axes of arrays somewhere, or may do so because it is a string."""
    if isinstance(annotation, type) and issubclass(annotation, jaxtyping.AbstractArray):
        return True
    return isinstance(annotation, str | typing.ForwardRef) or any(map(_has_arrays, typing.get_args(annotation)))


jaxtyping.jaxtyped = checked
