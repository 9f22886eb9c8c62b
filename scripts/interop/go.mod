// A module of its own: what others' tools need does not become a dependency of tdxkit.
module github.com/tdxkit/tdxkit/scripts/interop

go 1.26.0
