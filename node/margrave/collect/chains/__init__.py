"""What chains say: many RPC endpoints heard as one, every sweep of reads at one block's hash, no log of an orphan kept.

`abi`, `logs`, `blocks` read what nodes send (pure); `endpoint` and `reader` ask; `follow` keeps the head and its
parents; `watch` runs the watchers of one chain. A watcher is an adapter of one protocol: `lending/`, `pools/`,
`protocol` (the options protocol's own book).
"""
