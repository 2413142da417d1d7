"""All commands in one place. Each reads its options, calls the library and prints."""

import os
import sys
import warnings
from functools import cache
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

import toolkit as tk
from toolkit.cli import adapters, groups, jobs, output, policies, results
from toolkit.cli.demo import demo
from toolkit.cli.detect import detect
from toolkit.cli.options import Endpoint, Json, named_folder
from toolkit.cli.studio import open_studio
from toolkit.errors import NotFound, ToolkitError
from toolkit.studio.launch import LOOPBACK
from toolkit.workspace import FILE_NAME as WORKSPACE

app = typer.Typer(
    name="modkit",
    help="Decide how strictly images are moderated: run bulk analysis, load, look, tune.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Runs the command line; an error is one sentence on stderr and exit code 2."""
    warnings.showwarning = _say  # type: ignore[assignment]
    try:
        app()
    except ToolkitError as error:
        output.fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:  # standard output, as files are the library's; a pipe that was closed ends it quietly
        where = error.filename or "standard output"
        output.fail(f"{where}: {error.strerror or error}; check where it leads, and the space on the disk.")


def _say(message: Warning | str, *_: object) -> None:
    """A warning is a sentence for people, as everything else is."""
    _say_once(str(message))


@cache
def _say_once(sentence: str) -> None:
    """What is so of several labels or runs need not be said of each."""
    output.people.print(Text(sentence), style="yellow", soft_wrap=True)


app.command()(demo)
app.command()(detect)
for command in (
    jobs.manifest, groups.preflight, groups.analyze, groups.resume, jobs.start, jobs.jobs, jobs.fetch,
    results.summary, results.tune, results.sample, results.compare, results.drift, results.report,
):  # fmt: skip
    app.command()(command)
app.add_typer(policies.app, name="policy")
app.add_typer(adapters.app, name="adapter")
app.add_typer(adapters.app, name="adapters", hidden=True)


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; the default is reachable from this machine only.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 4555,
    directory: Annotated[
        Path, typer.Option("--dir", help="Where everything is kept.", parser=named_folder, metavar="FOLDER")
    ] = Path("modkit-service"),
    tps: Annotated[
        float | None, typer.Option(min=0.001, help="Requests per second of each operation; more are throttled.")
    ] = None,
    max_concurrent_jobs: Annotated[
        int | None, typer.Option(min=0, help="Jobs that have not ended; one more is refused.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="tcp://… of your own Dask scheduler: its workers look at the images.")
    ] = None,
    access_key: Annotated[
        str | None, typer.Option(envvar="MODKIT_ACCESS_KEY", help="Requests must be signed with this key …")
    ] = None,
    secret_key: Annotated[
        str | None,
        typer.Option(envvar="MODKIT_SECRET_KEY", help="… and this secret; set the variable, a command line is seen."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the local bulk-analysis service until Ctrl-C."""
    # Typer takes an empty variable for none; the service refuses it, rather than to run without the key that was meant.
    access_key, secret_key = (
        os.environ.get(name) if given is None else given
        for name, given in (("MODKIT_ACCESS_KEY", access_key), ("MODKIT_SECRET_KEY", secret_key))
    )
    from toolkit.service.limits import Limits
    from toolkit.service.server import LocalService, run

    def announce(endpoint_url: str) -> None:
        if as_json:
            output.print_json({"endpoint": endpoint_url})
        else:
            typer.echo(f"Rekognition, S3, KMS and STS at {endpoint_url} (Ctrl-C stops it)")

    service = LocalService(
        directory,
        host,
        port,
        limits=Limits(tps, max_concurrent_jobs),
        scheduler=scheduler,
        access_key=access_key,
        secret_key=secret_key,
    )
    run(service, announce=announce)


@app.command("app")
def app_command(
    directory: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            help="A workspace folder, or where the app can start one. Default: modkit-demo, or what is in this folder.",
            parser=named_folder,
            metavar="FOLDER",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Others than the default let everybody there in: no password.")
    ] = LOOPBACK,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0 takes a free one. Default: 8501, if it is free.")
    ] = None,
    endpoint: Endpoint = None,
) -> None:
    """Open the Streamlit app on a workspace folder, or where one is to be."""
    _require_folder(directory)
    if endpoint:
        tk.connect(endpoint)  # says here, not in the browser, that it is no URL
    with open_studio(directory, host=host, port=port, endpoint_url=endpoint) as studio:
        typer.echo(f"The app is at {studio.url} (Ctrl-C stops it)")
        if studio.others:
            _say(
                f"Whoever reaches {' or '.join(studio.others)} can use it as you do, without a password: read files "
                "and buckets that you may read, and start jobs that cost money."
            )
        studio.wait()


def _require_folder(directory: Path | None) -> None:
    """Says here, not in the browser, that a folder is none, or that its workspace cannot be read."""
    if directory is None or not directory.exists():
        return
    if not directory.is_dir():
        raise NotFound(f"{directory}: not a folder; name a workspace's, or one to start a project in.")
    if (directory / WORKSPACE).exists():
        tk.Workspace.load(directory)
