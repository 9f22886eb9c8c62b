package main

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// A qtest speaks QEMU's qtest protocol: one command a line, one answer a line. It stands in for the guest's CPU, so that
// no code of a guest runs (QEMU 10.2, system/qtest.c).
type qtest struct {
	conn net.Conn
	in   *bufio.Reader
}

// patience is how long one VM may take: 288 CPUs on a busy machine start in some seconds.
const patience = 2 * time.Minute

// dialUnix connects to a socket that QEMU makes while it starts. It gives up when ended is closed.
func dialUnix(path string, ended <-chan struct{}) (net.Conn, error) {
	deadline := time.Now().Add(patience)
	for {
		c, err := net.Dial("unix", path)
		if err == nil {
			return c, c.SetDeadline(deadline)
		}
		select {
		case <-ended:
			return nil, errEnded
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return nil, err
		}
	}
}

// errEnded says that QEMU ended before it answered: it refused its command line.
var errEnded = errors.New("QEMU ended")

// batch is how many commands are sent before the answers are read; more could fill both sides' buffers.
const batch = 256

// do sends commands and returns the answers, without their "OK".
func (q *qtest) do(cmds ...string) ([]string, error) {
	var out []string
	for len(cmds) > 0 {
		n := min(batch, len(cmds))
		if _, err := q.conn.Write([]byte(strings.Join(cmds[:n], "\n") + "\n")); err != nil {
			return nil, err
		}
		for i := 0; i < n; {
			line, err := q.in.ReadString('\n')
			if err != nil {
				return nil, err
			}
			line = strings.TrimSpace(line)
			answer, ok := strings.CutPrefix(line, "OK")
			switch {
			case strings.HasPrefix(line, "IRQ "):
				continue
			case !ok:
				return nil, fmt.Errorf("qtest: %s: %s", cmds[i], line)
			}
			out = append(out, strings.TrimSpace(answer))
			i++
		}
		cmds = cmds[n:]
	}
	return out, nil
}

// A configSpace collects accesses to PCI configuration space through the ports 0xcf8 and 0xcfc.
type configSpace struct {
	cmds  []string
	reads []int // positions in cmds of what is read
}

func (c *configSpace) address(bdf uint32, off int) {
	c.cmds = append(c.cmds, fmt.Sprintf("outl 0xcf8 %#x", 0x80000000|bdf<<8|uint32(off&0xfc)))
}

// read asks for 4 bytes; off is a multiple of 4.
func (c *configSpace) read(bdf uint32, off int) {
	c.address(bdf, off)
	c.reads = append(c.reads, len(c.cmds))
	c.cmds = append(c.cmds, "inl 0xcfc")
}

// write puts 1, 2 or 4 bytes.
func (c *configSpace) write(bdf uint32, off, size int, v uint32) {
	c.address(bdf, off)
	op := map[int]string{1: "outb", 2: "outw", 4: "outl"}[size]
	c.cmds = append(c.cmds, fmt.Sprintf("%s %#x %#x", op, 0xcfc+off&3, v))
}

// run does what was collected and returns what was read.
func (c *configSpace) run(q *qtest) ([]uint32, error) {
	answers, err := q.do(c.cmds...)
	if err != nil {
		return nil, err
	}
	out := make([]uint32, len(c.reads))
	for i, at := range c.reads {
		v, err := strconv.ParseUint(answers[at], 0, 32)
		if err != nil {
			return nil, fmt.Errorf("qtest: %q is not a number", answers[at])
		}
		out[i] = uint32(v)
	}
	c.cmds, c.reads = nil, nil
	return out, nil
}

// Where fw_cfg's DMA puts its control structure and its data in the guest's memory, which nobody else uses; every shape
// has more memory than that.
const (
	dmaControl = 0x1000
	dmaBuffer  = 0x10000
	dmaMost    = 0x40000
)

// transfer reads size bytes of a fw_cfg item by DMA (QEMU 10.2, docs/specs/fw_cfg.rst).
func (q *qtest) transfer(key uint16, size int) ([]byte, error) {
	out := make([]byte, 0, size)
	control := uint32(key)<<16 | 1<<3 // select
	for first := true; first || len(out) < size; first = false {
		n := min(size-len(out), dmaMost)
		c := make([]byte, 16)
		binary.BigEndian.PutUint32(c, control|1<<1) // read
		binary.BigEndian.PutUint32(c[4:], uint32(n))
		binary.BigEndian.PutUint64(c[8:], dmaBuffer)
		control = 0
		low := make([]byte, 4)
		binary.BigEndian.PutUint32(low, dmaControl)
		cmds := []string{
			fmt.Sprintf("write %#x 16 0x%x", dmaControl, c), "outl 0x514 0",
			fmt.Sprintf("outl 0x518 %#x", binary.LittleEndian.Uint32(low)), fmt.Sprintf("b64read %#x 4", dmaControl),
		}
		if n > 0 {
			cmds = append(cmds, fmt.Sprintf("b64read %#x %#x", dmaBuffer, n))
		}
		answers, err := q.do(cmds...)
		if err != nil {
			return nil, err
		}
		if answers[3] != "AAAAAA==" {
			return nil, fmt.Errorf("fw_cfg: item %#x: status %s", key, answers[3])
		}
		if n > 0 {
			data, err := base64.StdEncoding.DecodeString(answers[4])
			if err != nil {
				return nil, err
			}
			out = append(out, data...)
		}
	}
	return out, nil
}

// A fwItem is where a fw_cfg file is.
type fwItem struct {
	key  uint16
	size int
}

// fwCfgDirectory reads the names of all fw_cfg files.
func (q *qtest) fwCfgDirectory() (map[string]fwItem, error) {
	const directory, entry = 0x19, 64
	head, err := q.transfer(directory, 4)
	if err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(head))
	b, err := q.transfer(directory, 4+entry*n)
	if err != nil {
		return nil, err
	}
	out := map[string]fwItem{}
	for b = b[4:]; len(b) >= entry; b = b[entry:] {
		name, _, _ := strings.Cut(string(b[8:entry]), "\x00")
		out[name] = fwItem{binary.BigEndian.Uint16(b[4:]), int(binary.BigEndian.Uint32(b))}
	}
	return out, nil
}
