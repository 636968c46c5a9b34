"""The command line behind ``make docs``, ``make table`` and ``make check``: ``python -m include.contributing …``."""

from __future__ import annotations

from typing import Annotated

import typer

from include.contributing import checks, pages, scaffold

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@cli.command()
def docs() -> None:
    """Write the generated pages again."""
    pages.write()


@cli.command()
def table(
    name: Annotated[str, typer.Argument(help="What the table is called: refunds_daily.")],
    layer: Annotated[str, typer.Argument(help="Where it is published: reporting or features.")],
) -> None:
    """Write the skeleton of a new published table: its file, its test, its line in the registry, the pages."""
    try:
        for line in scaffold.write(name, layer):
            typer.echo(line)
    except scaffold.Refused as refused:
        typer.echo(f"{refused}", err=True)
        raise typer.Exit(1) from None


@cli.command()
def check() -> None:
    """Check format, lint, types, pages, and run the tests of what changed; show everything that is wrong at once."""
    files = checks.changed()
    tests = checks.affected_tests(files)
    typer.echo(f"{len(files)} changed files; tests: {' '.join(tests)}")
    raise typer.Exit(checks.run(checks.steps(tests), typer.echo))


if __name__ == "__main__":
    cli()
