"""`passband app`."""

import signal
from pathlib import Path
from typing import Annotated

import typer


def app(
    host: Annotated[
        str, typer.Option(help="Address to listen on. 0.0.0.0 lets other computers of the network open the page.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any free port.")] = 7860,
    weights: Annotated[
        list[str] | None, typer.Option(help="Further weights that the page offers. Repeat it for several.")
    ] = None,
    runs: Annotated[Path | None, typer.Option(help="Folder of runs and studies for the tab Runs.")] = None,
    share: Annotated[
        bool, typer.Option("--share", help="Also open a public address through Gradio's servers. Off by default.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that work on files. Default: 1 to 4, by the cores.")
    ] = None,
    megabytes: Annotated[
        float, typer.Option("--max-megabytes", min=0.001, help="Largest size of an upload in megabytes.")
    ] = 100.0,
    gigabytes: Annotated[
        float,
        typer.Option(
            "--max-gigabytes",
            min=0.001,
            help="Largest size of all uploads and results together in gigabytes. The oldest ones make room.",
        ),
    ] = 10.0,
    megapixels: Annotated[
        float, typer.Option("--max-megapixels", min=0.001, help="Largest size of an image in megapixels.")
    ] = 50.0,
    browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser of this computer.")] = False,
) -> None:
    """Open the web page: drop a photo, see it restored, and see its frequencies."""
    from passband.app import AppSettings, Limits, launch
    from passband.cli.shared.console import say

    given = {} if workers is None else {"workers": workers}
    limits = Limits(
        upload_bytes=round(1e6 * megabytes), total_bytes=round(1e9 * gigabytes), image_pixels=round(1e6 * megapixels)
    )
    settings = AppSettings(host, port, tuple(weights or ()), runs, share, limits=limits, **given)
    try:
        server = launch(settings, block=False, open_browser=browser)
        say(f"The page is at {server.url}. Ctrl-C closes it and removes its files.")
        if server.share_url:
            say(f"It is public at {server.share_url}, for everybody who knows this address.")
        number = server.wait()
    except KeyboardInterrupt:  # while the page starts
        number = signal.SIGINT
    raise typer.Exit(128 + number)
