package dstack

import (
	"crypto/sha256"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/strictjson"
)

// An AppCompose is an app-compose.json as far as a verifier asks about it. What a guest measures is the file's bytes: two
// texts of one meaning are two applications.
type AppCompose struct {
	Hash [sha256.Size]byte // compose-hash

	Name          string
	Runner        string // "docker-compose" or "bash"
	DockerCompose string // the compose file in it; empty where there is none
	// EventLogVersion is the version of runtime events that the guest writes; 1 where the file does not say.
	EventLogVersion uint64
}

// ParseAppCompose reads an app-compose.json. Members that it has no use for are not looked at; one that occurs twice, or
// in other letters, is an error, since a guest and a reader could take different ones.
// Dstack-TEE/dstack 312dc605ebaa, dstack/dstack-types/src/lib.rs, AppCompose.
func ParseAppCompose(data []byte) (*AppCompose, error) {
	const format = "app-compose.json"
	r, err := readObject(format, data)
	if err != nil {
		return nil, err
	}
	c := &AppCompose{Hash: sha256.Sum256(data), EventLogVersion: 1}
	c.Name, c.Runner = optionalString(r, "name"), optionalString(r, "runner")
	c.DockerCompose = optionalString(r, "docker_compose_file")
	if r.Optional("event_log_version") != nil {
		c.EventLogVersion = r.Uint("event_log_version", 2)
	}
	r.Unknown()
	if err := r.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

func optionalString(r *strictjson.Reader, name string) string {
	if v := r.Optional(name); v == nil || v.Kind == strictjson.Null {
		return ""
	}
	return r.String(name)
}

// readObject parses a JSON document of bounded size, strictly.
func readObject(format string, data []byte) (*strictjson.Reader, error) {
	if len(data) > bin.MaxJSON {
		return nil, tooMuch(format, "length", len(data), bin.MaxJSON)
	}
	v, err := strictjson.Parse(format, data)
	if err != nil {
		return nil, err
	}
	return strictjson.NewReader(format, v), nil
}
