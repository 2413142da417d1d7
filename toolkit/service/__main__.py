"""`python -m toolkit.service`: the service alone, without the rest of the command line."""

import argparse
import json
import os
import sys
from pathlib import Path

from toolkit.errors import ToolkitError
from toolkit.service.limits import Limits
from toolkit.service.server import LocalService, run


def main(arguments: list[str] | None = None) -> int:
    """Runs the service until it is told to stop; 0, or 2 where it could not start (standard error says why)."""
    parser = argparse.ArgumentParser(prog="python -m toolkit.service", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: any free one)")
    parser.add_argument("--dir", type=Path, required=True, help="folder in which everything is kept")
    parser.add_argument("--json", action="store_true", help='announce as {"endpoint": "http://…"}')
    parser.add_argument("--tps", type=float, help="requests per second of each operation (default: any)")
    parser.add_argument("--max-concurrent-jobs", type=int, help="jobs that have not ended (default: any)")
    parser.add_argument("--scheduler", help="tcp://… of a Dask scheduler whose workers look at images")
    access_key, secret_key = (os.environ.get(name) for name in ("MODKIT_ACCESS_KEY", "MODKIT_SECRET_KEY"))
    parser.add_argument("--access-key", default=access_key, help="what requests are signed with")
    parser.add_argument("--secret-key", default=secret_key, help="better given as MODKIT_SECRET_KEY")
    parser.add_argument("--exit-with-stdin", action="store_true", help="stop when standard input ends")
    given = parser.parse_args(arguments)

    def announce(endpoint: str) -> None:
        print(json.dumps({"endpoint": endpoint}) if given.json else f"Listening on {endpoint}", flush=True)

    try:
        service = LocalService(
            given.dir,
            given.host,
            given.port,
            limits=Limits(given.tps, given.max_concurrent_jobs),
            scheduler=given.scheduler,
            access_key=given.access_key,
            secret_key=given.secret_key,
        )
        run(service, announce=announce, exit_with_stdin=given.exit_with_stdin)
    except ToolkitError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
