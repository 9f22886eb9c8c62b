package qemu

// QEMU finds some objects by walking hash tables of names. What it then writes has the order of GLib's hash table, which
// depends on nothing but the names and the order in which they were added. Follows GLib 2.74, glib/ghash.c:
// g_str_hash, g_hash_table_insert_node, g_hash_table_resize; the same since 2.60.

// hashPrimes are what hashes are taken modulo of, by the logarithm of the table's size.
var hashPrimes = []uint32{1, 2, 3, 7, 13, 31, 61, 127, 251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521}

const minHashShift = 3

// A hashTable is GLib's, of strings, without removal.
type hashTable struct {
	shift  int
	slots  []int // index in names, -1 where free
	names  []string
	hashes []uint32
}

func newHashTable() *hashTable {
	t := &hashTable{shift: minHashShift}
	t.slots = freeSlots(t.shift)
	return t
}

func freeSlots(shift int) []int {
	s := make([]int, 1<<shift)
	for i := range s {
		s[i] = -1
	}
	return s
}

// stringHash is g_str_hash; 0 and 1 mark free slots and become 2.
func stringHash(s string) uint32 {
	h := uint32(5381)
	for i := range len(s) {
		h = h<<5 + h + uint32(int8(s[i]))
	}
	return max(h, 2)
}

// first returns where the search for a hash begins.
func (t *hashTable) first(h uint32) uint32 { return h * 11 % hashPrimes[t.shift] }

// add puts a name that is not there yet into the table.
func (t *hashTable) add(name string) {
	at, mask := t.first(stringHash(name)), uint32(len(t.slots)-1)
	for step := uint32(1); t.slots[at] >= 0; step++ {
		at = (at + step) & mask
	}
	t.slots[at] = len(t.names)
	t.names, t.hashes = append(t.names, name), append(t.hashes, stringHash(name))
	if n := len(t.names); len(t.slots) <= n+n/16 {
		t.grow(n)
	}
}

// grow makes the table larger in place: each name, as it is met, pushes out the one that it displaces.
func (t *hashTable) grow(n int) {
	t.shift = minHashShift
	for want := int(float64(n) * 1.333); want>>t.shift != 0; {
		t.shift++
	}
	old := len(t.slots)
	slots := freeSlots(t.shift)
	copy(slots, t.slots)
	settled := make([]bool, len(slots))
	mask := uint32(len(slots) - 1)
	for i := range old {
		name := slots[i]
		if name < 0 || settled[i] {
			continue
		}
		slots[i] = -1
		for name >= 0 {
			at := t.first(t.hashes[name])
			for step := uint32(1); settled[at]; step++ {
				at = (at + step) & mask
			}
			settled[at] = true
			slots[at], name = name, slots[at]
		}
	}
	t.slots = slots
}

// hashOrder returns names in the order in which QEMU walks them after they were added in theirs.
func hashOrder(names []string) []string {
	if len(names) >= int(hashPrimes[len(hashPrimes)-1]) {
		return nil
	}
	t := newHashTable()
	for _, n := range names {
		t.add(n)
	}
	out := make([]string, 0, len(names))
	for _, i := range t.slots {
		if i >= 0 {
			out = append(out, t.names[i])
		}
	}
	return out
}
