package main

import (
	"encoding/json"
	"fmt"
	"iter"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/yamldoc"
	"github.com/tdxkit/tdxkit/manifest"
)

// shapesSchema is the schema of a shapes file.
const shapesSchema = "tdxkit.shapes/v1"

// A shapesFile lists the shapes of a manifest: YAML, or JSON, which is YAML.
type shapesFile struct {
	Schema string       `yaml:"schema"`
	Shapes []shapeGroup `yaml:"shapes"`
}

// A shapeGroup is a matrix: every QEMU release with every set of devices, number of vCPUs and size of memory. What it
// leaves out is as the command line has it.
type shapeGroup struct {
	Name      string      `yaml:"name"` // part of the variants' IDs
	QEMU      listText    `yaml:"qemu"`
	CPUs      listText    `yaml:"cpus"`
	Memory    listText    `yaml:"memory"`
	Arguments []string    `yaml:"arguments"` // added to QEMU's command line
	Devices   []deviceSet `yaml:"devices"`
}

// A deviceSet is what a set of shapes has beside the rest of the command line.
type deviceSet struct {
	Name      string   `yaml:"name"` // part of the variants' IDs; empty for the plain machine
	Arguments []string `yaml:"arguments"`
}

// A listText is a list as flags have it, "1-64,128", or the same as a list of items.
type listText string

// UnmarshalYAML takes a scalar, or joins the scalars of a list.
func (l *listText) UnmarshalYAML(n *yamldoc.Node) error {
	items := []*yamldoc.Node{n}
	if n.Kind == yamldoc.Sequence {
		items = n.Content
	}
	var words []string
	for _, i := range items {
		if i.Kind != yamldoc.Scalar || i.Tag == "!!null" {
			return fmt.Errorf("line %d: want text or a number, or a list of them", i.Line)
		}
		words = append(words, i.Value)
	}
	*l = listText(strings.Join(words, ","))
	return nil
}

// readYAML reads one document into v and refuses names that v does not have. JSON is YAML.
func readYAML(path string, v any) error {
	data, err := readFile(path, roleOther, bin.MaxJSON)
	if err != nil {
		return err
	}
	if err := yamldoc.Decode(data, v, yamldoc.KnownKeys); err != nil {
		return &inputError{msg: path + ": " + oneLine(err.Error()), err: err}
	}
	return nil
}

// readAsJSON reads a YAML or JSON document and returns it as JSON, for a strict reader.
func readAsJSON(path string) ([]byte, error) {
	var v any
	if err := readYAML(path, &v); err != nil {
		return nil, err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, &inputError{msg: path + ": " + err.Error()}
	}
	return b, nil
}

// A point is one shape of a matrix, not yet read.
type point struct {
	group   string
	qemu    string // empty where the source says
	devices string
	extra   []string // arguments of group and devices
	shape   shape
}

// id is the variant's ID.
func (p *point) id(release string, cpus int, memory uint64) string {
	words := []string{"qemu" + release}
	for _, w := range []string{p.group, p.devices} {
		if w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(append(words, fmt.Sprintf("%dcpu-%s", cpus, formatMemory(memory))), "-")
}

// A matrixGroup is a shapeGroup, read.
type matrixGroup struct {
	shapeGroup
	releases []string
	cpus     []int
	memory   []uint64
}

func (g *matrixGroup) len() int {
	return len(g.releases) * len(g.Devices) * len(g.cpus) * len(g.memory)
}

// points returns the shapes in order, the memory size varying fastest.
func points(groups []matrixGroup) iter.Seq[point] {
	return func(yield func(point) bool) {
		for _, g := range groups {
			for _, r := range g.releases {
				for _, d := range g.Devices {
					p := point{group: g.Name, qemu: r, devices: d.Name, extra: append(g.Arguments[:len(g.Arguments):len(g.Arguments)], d.Arguments...)}
					for _, n := range g.cpus {
						for _, m := range g.memory {
							p.shape = shape{n, m}
							if !yield(p) {
								return
							}
						}
					}
				}
			}
		}
	}
}

// readMatrix reads the shapes of --shapes, or of --cpus, --memory, --qemu and --devices.
func readMatrix(c *cli.Context) ([]matrixGroup, error) {
	var groups []shapeGroup
	if path := c.String("shapes"); path != "" {
		for _, f := range []string{"cpus", "memory", "devices"} {
			if c.IsSet(f) {
				return nil, usage("--shapes and --"+f+" are given, want one of them", "")
			}
		}
		var file shapesFile
		if err := readYAML(path, &file); err != nil {
			return nil, err
		}
		if file.Schema != shapesSchema || len(file.Shapes) == 0 {
			return nil, &inputError{msg: fmt.Sprintf("%s: has schema %q with %d shapes, want %s and at least one", path, file.Schema, len(file.Shapes), shapesSchema)}
		}
		groups = file.Shapes
	} else {
		g := shapeGroup{CPUs: listText(c.String("cpus")), Memory: listText(c.String("memory"))}
		if path := c.String("devices"); path != "" {
			if err := readYAML(path, &g.Devices); err != nil {
				return nil, err
			}
		}
		groups = []shapeGroup{g}
	}
	total := 0
	var out []matrixGroup
	for _, g := range groups {
		m, err := readGroup(g, c.String("qemu"))
		if err != nil {
			return nil, err
		}
		out = append(out, m)
		if total += m.len(); total > manifest.MaxVariants {
			return nil, usage(fmt.Sprintf("the matrix has more than %d shapes", manifest.MaxVariants), "")
		}
	}
	return out, nil
}

func readGroup(g shapeGroup, releases string) (matrixGroup, error) {
	m := matrixGroup{shapeGroup: g, releases: []string{""}, cpus: []int{0}, memory: []uint64{0}}
	if g.QEMU != "" {
		releases = string(g.QEMU)
	}
	if releases != "" {
		m.releases = strings.Split(releases, ",")
	}
	if err := unique("--qemu", releases, m.releases); err != nil {
		return m, err
	}
	var err error
	if g.CPUs != "" {
		if m.cpus, err = parseCPUs(string(g.CPUs)); err != nil {
			return m, err
		}
	}
	if g.Memory != "" {
		if m.memory, err = parseMemoryList(string(g.Memory)); err != nil {
			return m, err
		}
	}
	if len(g.Devices) == 0 {
		m.Devices = []deviceSet{{}}
	}
	seen := map[string]bool{}
	for _, d := range m.Devices {
		if seen[d.Name] {
			return m, usage(fmt.Sprintf("two sets of devices are called %q", d.Name), "give each a name of its own")
		}
		seen[d.Name] = true
	}
	return m, nil
}
