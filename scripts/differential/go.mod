module github.com/tdxkit/tdxkit/scripts/differential

go 1.26.0

require (
	github.com/google/go-tdx-guest v0.3.2-0.20260305110651-91f9a52f36c7
	github.com/tdxkit/tdxkit v0.0.0
)

require (
	github.com/google/logger v1.1.1 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	golang.org/x/crypto v0.45.0 // indirect
	golang.org/x/sys v0.41.0 // indirect
	google.golang.org/protobuf v1.34.2 // indirect
)

replace github.com/tdxkit/tdxkit => ../..
