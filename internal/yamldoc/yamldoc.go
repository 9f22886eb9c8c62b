// Package yamldoc reads YAML documents that people write. A key that occurs twice and a second document are errors; JSON
// is YAML.
package yamldoc

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

// A Node is a value that is not read further, or by a method UnmarshalYAML(*Node) error.
type Node = yaml.Node

// The kinds of a Node that such a method asks for.
const (
	Scalar   = yaml.ScalarNode
	Sequence = yaml.SequenceNode
)

// Keys says what becomes of keys that the Go value does not have.
type Keys uint8

// The ways.
const (
	KnownKeys Keys = iota // others are an error
	AllKeys               // others are passed over
)

// The errors beside those of the syntax.
var (
	ErrEmpty = errors.New("is empty")
	ErrMore  = errors.New("has more than one document")
)

// An Error says what is wrong with a document, on one line and without the names of Go's types.
type Error struct{ Msg string }

func (e *Error) Error() string { return e.Msg }

// Decode reads the one document in data into v.
func Decode(data []byte, v any, keys Keys) error {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(keys == KnownKeys)
	switch err := d.Decode(v); {
	case errors.Is(err, io.EOF):
		return ErrEmpty
	case err != nil:
		return clean(err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return ErrMore
	}
	return nil
}

func clean(err error) error {
	lines := []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	var typed *yaml.TypeError
	if errors.As(err, &typed) {
		lines = typed.Errors
	}
	for i, l := range lines {
		lines[i], _, _ = strings.Cut(l, " in type ")
	}
	return &Error{strings.Join(lines, "; ")}
}
