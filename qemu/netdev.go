package qemu

import "strings"

// readNetdev notes -netdev: the guest sees no more of it than how many queues it has.
func (b *builder) readNetdev(arg string) error {
	b.net = true
	p := parseProps(arg, "type")
	if strings.HasPrefix(arg, "{") {
		var err error
		if p, err = parseKeyvalList("-netdev", arg, "type"); err != nil {
			return err
		}
	}
	b.netdevs[p.str("id")] = p
	return nil
}

// maxPeerQueues is QEMU's MAX_QUEUE_NUM.
const maxPeerQueues = 1024

// peerQueues returns how many queue pairs the backend of a NIC has: what queues= says, or one for each of fds=. Follows
// QEMU 10.2, net/tap.c, net_init_tap, net/vhost-user.c, net_init_vhost_user, and net/af-xdp.c, net_init_af_xdp.
func (d *deviceBuild) peerQueues() (uint64, error) {
	p := d.b.netdevs[d.props.str("netdev")]
	if p.str("type") == "vhost-vdpa" {
		return 0, unsupportedErr(d.option, d.arg, "how many queues a vhost-vdpa backend has is the host's; say vectors=")
	}
	if fds, ok := p.get("fds"); ok {
		return uint64(strings.Count(fds, ":")) + 1, nil
	}
	v, ok := p.get("queues")
	if !ok {
		return 1, nil
	}
	n, ok := parseUint(v)
	if !ok || n == 0 || n > maxPeerQueues {
		return 0, usageErr("-netdev", p.str("id"), "queues=%s: expects a number from 1 to %d", v, maxPeerQueues)
	}
	return n, nil
}
