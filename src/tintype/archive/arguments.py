"""The arguments of `tintype batch`."""

from __future__ import annotations

import argparse

from tintype.arguments import add_model_arguments, add_provenance_argument, count

BATCH_EXAMPLES = """\
where results go:
  Each result has its picture's name and place under TARGET. SOURCE and TARGET are folders, or URLs of object
  stores (s3://, gs://, az://, by fsspec: pip install 'tintype[cloud]' and its driver s3fs, gcsfs or adlfs);
  SOURCE may be a web server's listing (http://). Links to folders are named and not followed.

the manifest:
  Each picture once: its hash, result, model and its hash, settings, time, or its error. The same command
  again does what is missing, has failed or has changed: in the picture (its size and time of change, or the
  store's mark, and where that differs its bytes), the model or the settings. Where a result's name is taken
  by a file that the manifest does not know, that is an error, and the file stays, without --overwrite.

workers:
  Processes of one thread, one for each processor, fewer where there is less than 1 GiB of free memory for
  each: a picture a processor is faster than many processors on one. With a store that answers slowly, more
  --workers than processors pay. A worker that dies is started again; a picture over which one dies twice is
  an error.

examples:
  tintype batch scans -o colored                              a folder and all below it
  tintype batch s3://in/scans -o s3://out --manifest run.parquet
  tintype batch s3://in -o s3://out --manifest run.jsonl --engine ray --address auto
  tintype batch --report run.jsonl                            counts, rates, errors by kind

exit status: 0 all done or skipped, 1 some failed (with --report: lines of the manifest could not be read),
  2 wrong usage, 130 stopped by Ctrl-C.
"""


def add_batch_arguments(parser: argparse.ArgumentParser) -> None:
    """What `tintype batch` takes."""
    add = parser.add_argument
    add("source", nargs="?", metavar="SOURCE", help="a folder or URL of pictures, all below it")
    add("-o", "--output", metavar="TARGET", help="a folder or URL for the results")
    add("--engine", choices=("local", "ray"), default="local", help="processes here, or Ray (default: local)")
    add("--address", metavar="HOST:PORT|auto", help="a Ray cluster; without it one is started here")
    add("--workers", type=count, metavar="N", help="processes that colour (default: see below)")
    kept = "JSON lines, or Parquet by its suffix (default: TARGET/tintype-manifest.jsonl, of a folder)"
    add("--manifest", metavar="FILE", help=kept)
    add("--report", metavar="MANIFEST", help="sum up a manifest, and do nothing else")
    add_model_arguments(parser, auto_size=True, threads=False)
    more = "refuse pictures of more (default: 250 million, JPEG 2000 less; striped or tiled TIFF 1.2 billion)"
    add("--max-pixels", type=count, metavar="N", help=more)
    longest = "give a picture up after this long (default: 3600)"
    add("--time-limit", type=count, default=3600, metavar="SECONDS", help=longest)
    add("--overwrite", action="store_true", help="do all again, and replace what is there")
    add("--skip-colored", action="store_true", help="leave out what is in colour already")
    add_provenance_argument(parser)
    add("--quiet", action="store_true", help="tell of failures alone")
    add("--json", action="store_true", help="print one JSON object a picture, or the report as one")
