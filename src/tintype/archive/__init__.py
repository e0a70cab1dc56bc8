"""Archives: many pictures, near or far, by processes or machines that may die, each accounted for once.

`places` (and `remote`) list, read and write; `manifest` keeps a `record` of each picture; `tasks` finds what
is missing or changed; `settings` are what a worker is told; `work` colours one picture in a worker process,
`child` is that process, `process` the same from outside and `worker` its keeper; `local` runs several on this
machine, `cluster` many by Ray; `report` sums up.
"""
