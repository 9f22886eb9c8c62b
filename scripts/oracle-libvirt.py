"""oracle-libvirt.py DIR N SEED: writes N random domains, every other one a TD, for oracle-libvirt."""
import os, random, sys

out, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def virtio(r):
    return r.choice(['virtio'] * 4 + ['virtio-transitional', 'virtio-non-transitional'])


def driver(r, *extra):
    a = [x for x in extra if x]
    for k in ('iommu', 'ats', 'packed', 'page_per_vq'):
        if r.random() < .1:
            a.append(f"{k}='{r.choice(['on', 'off'])}'")
    return f"<driver {' '.join(a)}/>" if a else ''


def disks(r, boot):
    s, letters = '', iter('abcdefghij')
    for _ in range(r.randrange(5)):
        bus = r.choice(['virtio', 'virtio', 'sata', 'scsi', 'usb'])
        dev = r.choice(['disk', 'disk', 'cdrom']) if bus in ('sata', 'scsi') else 'disk'
        model = f" model='{virtio(r)}'" if bus == 'virtio' else ''
        queues = f"queues='{r.choice([1, 4, 16, 200])}'" if bus == 'virtio' and r.random() < .3 else ''
        order = next(boot) if r.random() < .5 else None
        s += f"""<disk type='file' device='{dev}'{model}><source file='/img'/><target dev='{'vd' if bus == 'virtio' else 'sd'}{next(letters)}' bus='{bus}'/>
{driver(r, "name='qemu'", "type='raw'", queues) if bus == 'virtio' else ''}{f"<boot order='{order}'/>" if order else ''}<serial>s1</serial></disk>"""
    return s


def nets(r):
    # domxml-to-native puts a plain interface of the same model in the place of each: what else it had is lost.
    s = ''
    for i in range(r.randrange(4)):
        model = r.choice(['virtio', 'virtio', virtio(r), 'e1000e', 'e1000', 'rtl8139'])
        s += f"<interface type='user'><mac address='52:54:00:00:00:{i:02x}'/><model type='{model}'/></interface>"
    return s


def hostdevs(r, boot):
    s = ''
    for i in range(r.choice([0, 0, 1, 2])):
        s += f"""<hostdev mode='subsystem' type='pci' managed='yes'><driver name='vfio'/><source><address domain='0x0000' bus='0x{i + 0x41:02x}' slot='0x00' function='0x0'/></source>
{f"<boot order='{next(boot)}'/>" if r.random() < .3 else ''}</hostdev>"""
    return s


def maybe(r, p, *choices):
    return r.choice(choices) if r.random() < p else ''


def domain(r, n):
    td = n % 2 == 0
    cpus = r.choice([1, 2, 4, 6, 8, 16, 64, 255, 300])
    iommu = maybe(r, .1, "<iommu model='virtio'/>") if cpus <= 255 else "<iommu model='intel'><driver intremap='on' eim='on'/></iommu>"
    if iommu and 'intel' not in iommu and r.random() < .5:
        iommu = "<iommu model='intel'><driver intremap='on' caching_mode='on' aw_bits='48'/></iommu>"
    mem = r.choice([1048576, 2097152, 3 << 20, 4194304 + 700, 8 << 20, 64 << 20])
    topology = ''
    if r.random() < .5:
        threads = 2 if cpus % 2 == 0 and r.random() < .5 else 1
        topology = f"<topology sockets='1' dies='{r.choice([1, 1, 2]) if cpus // threads % 2 == 0 else 1}' cores='0' threads='{threads}'/>"
        import re
        dies = int(re.search(r"dies='(\d)'", topology)[1])
        topology = topology.replace("cores='0'", f"cores='{cpus // threads // dies}'")
    numa = ''
    if cpus % 2 == 0 and r.random() < .25:
        d = r.random() < .5
        numa = '<numa>' + ''.join(
            f"<cell id='{i}' cpus='{i * cpus // 2}-{(i + 1) * cpus // 2 - 1}' memory='{mem // 2}' unit='KiB'>"
            + (f"<distances><sibling id='{i}' value='10'/><sibling id='{1 - i}' value='{21 + i * r.randrange(2)}'/></distances>" if d else '') + "</cell>"
            for i in range(2)) + '</numa>'
    mode = 'host-passthrough' if td or r.random() < .3 else r.choice(['custom', 'maximum'])
    model = "<model fallback='allow'>Skylake-Server</model>" if mode == 'custom' else ''
    phys = maybe(r, .2, "<maxphysaddr mode='emulate' bits='46'/>", "<maxphysaddr mode='passthrough'/>")
    feats = ''.join(f"<feature policy='{r.choice(['require', 'disable'])}' name='{f}'/>" for f in ('ht', 'pdpe1gb', 'ss') if r.random() < .2)
    perdevice = r.random() < .5
    boot = iter(range(1, 100)) if perdevice else iter([None] * 100)
    osboot = '' if perdevice else ''.join(f"<boot dev='{d}'/>" for d in r.sample(['hd', 'cdrom'], r.randrange(3)))
    sysinfo, smbios = '', ''
    if r.random() < .3:
        smbios = "<smbios mode='sysinfo'/>"
        sysinfo = """<sysinfo type='smbios'><bios><entry name='vendor'>Ve, &amp; Co</entry><entry name='date'>01/02/2024</entry></bios>
<system><entry name='manufacturer'>Fab, Ltd.</entry><entry name='product'>X&lt;Y</entry><entry name='sku'>s</entry></system>
<baseBoard><entry name='manufacturer'>B</entry><entry name='asset'>1</entry></baseBoard><chassis><entry name='manufacturer'>C</entry></chassis>
<oemStrings><entry>one, two</entry><entry>three</entry></oemStrings></sysinfo>"""
    if r.random() < .2:
        sysinfo += "<sysinfo type='fwcfg'><entry name='opt/org.example/a'>text &amp; more</entry><entry name='opt/org.example/b' file='/f'/></sysinfo>"
    video = maybe(r, .6, "<video><model type='vga'/></video>", "<video><model type='virtio' heads='1' primary='yes'/></video>", "<video><model type='bochs'/></video>",
                  "<video><model type='vga'/></video><video><model type='virtio'/></video>", "<video><model type='cirrus'/></video>", "<video><model type='ramfb'/></video>")
    dev = disks(r, boot) + nets(r) + hostdevs(r, boot) + video
    dev += maybe(r, .5, f"<rng model='{virtio(r)}'><backend model='random'>/dev/urandom</backend><rate bytes='10'/></rng>")
    dev += maybe(r, .8, f"<memballoon model='{virtio(r)}' autodeflate='on' freePageReporting='on'/>", "<memballoon model='none'/>")
    dev += maybe(r, .4, "<vsock model='virtio'><cid auto='no' address='7'/></vsock>")
    dev += maybe(r, .6, "<serial type='pty'><target type='isa-serial' port='0'/></serial><console type='pty'><target type='serial' port='0'/></console>",
                 "<serial type='pty'/><serial type='pty'><target type='isa-serial' port='1'/></serial>", "<serial type='pty'><target type='pci-serial'/></serial>")
    dev += maybe(r, .3, "<console type='pty'><target type='virtio' port='0'/></console>")
    dev += maybe(r, .4, "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>")
    dev += maybe(r, .2, "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>", "<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>")
    dev += maybe(r, .3, "<input type='tablet' bus='usb'/>", "<input type='keyboard' bus='virtio'/><input type='mouse' bus='virtio'/>")
    dev += maybe(r, .2, "<watchdog model='i6300esb' action='reset'/>", "<watchdog model='itco' action='none'/>")
    dev += maybe(r, .2, "<panic model='isa'/>", "<panic model='pvpanic'/>", "<panic model='hyperv'/>")
    dev += maybe(r, .2, "<filesystem type='mount' accessmode='passthrough'><source dir='/s'/><target dir='t'/></filesystem>")
    dev += maybe(r, .2, "<sound model='ich9'/>", "<sound model='ac97'/>", "<sound model='virtio' streams='2'/>", "<sound model='ich9'><codec type='micro'/></sound>")
    dev += maybe(r, .15, "<shmem name='s'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>")
    dev += maybe(r, .15, "<crypto model='virtio' type='qemu'><backend model='builtin' queues='1'/></crypto>")
    dev += maybe(r, .15, "<redirdev bus='usb' type='tcp'><source mode='connect' host='h' service='1'/><protocol type='raw'/></redirdev>")
    dev += maybe(r, .4, "<controller type='usb' index='0' model='none'/>", "<controller type='usb' index='0' model='qemu-xhci' ports='15'/>",
                 "<controller type='usb' index='0' model='ich9-ehci1'/><controller type='usb' index='0' model='ich9-uhci1'><master startport='0'/></controller>",
                 "<controller type='usb' index='0' model='nec-xhci'/>") if 'usb' not in dev else ''
    dev += maybe(r, .3, "<controller type='scsi' index='0' model='virtio-scsi'><driver queues='8'/></controller>", "<controller type='scsi' index='0' model='lsilogic'/>")
    dev += maybe(r, .3, "<controller type='pci' index='0' model='pcie-root'><pcihole64 unit='KiB'>1073741824</pcihole64></controller>")
    dev += maybe(r, .2, "<controller type='virtio-serial' index='0' ports='16' vectors='4'/>")
    dev += maybe(r, .3, "".join(f"<controller type='pci' index='{i}' model='pcie-root-port'><target hotplug='{r.choice(['on', 'off'])}'/></controller>" for i in range(1, r.randrange(2, 9))))
    dev += maybe(r, .15, "<controller type='pci' index='20' model='pcie-expander-bus'><target busNr='180'/></controller><controller type='pci' index='21' model='pcie-root-port'><address type='pci' bus='20' slot='0' function='0'/></controller>")
    dev += maybe(r, .1, "<controller type='pci' index='30' model='pcie-to-pci-bridge'/>", "<controller type='pci' index='30' model='pcie-switch-upstream-port'/><controller type='pci' index='31' model='pcie-switch-downstream-port'/>")
    extra = maybe(r, .15, "<qemu:commandline><qemu:arg value='-device'/><qemu:arg value='virtio-rng-pci,addr=0x1d'/></qemu:commandline>",
                  "<qemu:commandline><qemu:arg value='-fw_cfg'/><qemu:arg value='name=opt/x,string=y'/></qemu:commandline>")
    features = '<acpi/><apic/>' if r.random() < .9 else '<apic/>'
    features += "<ioapic driver='qemu'/>" if td or cpus > 255 else ''
    features += maybe(r, .3, "<smm state='off'/>") if not td else "<smm state='off'/>"
    features += maybe(r, .2, "<vmport state='off'/>") + maybe(r, .2, "<ps2 state='off'/>") + maybe(r, .2, "<vmcoreinfo state='on'/>")
    features += "<pmu state='off'/>" if td else maybe(r, .2, "<pmu state='on'/>")
    features += maybe(r, .1, "<hyperv><relaxed state='on'/></hyperv>", "<kvm><hidden state='on'/></kvm>")
    maxmem = f"<maxMemory slots='{r.choice([2, 16])}' unit='KiB'>{mem * 4}</maxMemory>" if numa and r.random() < .5 else ''
    kernel = "<kernel>/k</kernel><initrd>/i</initrd><cmdline> console=ttyS0, a=&quot;b c&quot; </cmdline>" if r.random() < .7 else ''
    dev = dev.replace("<boot order='None'/>", '')
    return f"""<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>d{n}</name>
{maybe(r, .3, '<genid>43dc0cf8-809b-4adb-9bea-a9abb5f3d90e</genid>')}<memory unit='KiB'>{mem}</memory>{maxmem}
<vcpu{maybe(r, .2, f" current='{max(1, cpus // 2)}'")}>{cpus}</vcpu>
<os><type arch='x86_64' machine='{r.choice(['q35', 'pc-q35-10.0', 'pc-q35-9.0', 'pc-q35-8.2'])}'>hvm</type><loader type='rom'>/usr/share/ovmf/OVMF.fd</loader>{kernel}{osboot}{maybe(r, .2, "<bootmenu enable='yes' timeout='3000'/>", "<bootmenu enable='no'/>")}{smbios}</os>
{sysinfo}<features>{features}</features><cpu mode='{mode}'>{model}{topology}{phys}{feats}{numa}</cpu>
<clock offset='utc'>{maybe(r, .6, "<timer name='hpet' present='no'/>", "<timer name='hpet' present='yes'/>")}<timer name='pit' tickpolicy='delay'/></clock>
{maybe(r, .2, "<pm><suspend-to-mem enabled='no'/><suspend-to-disk enabled='no'/></pm>")}<iothreads>1</iothreads>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>{iommu}{dev}</devices>
{"<launchSecurity type='tdx'><policy>0x10000000</policy></launchSecurity>" if td else ''}{extra}</domain>"""


for i in range(count):
    with open(os.path.join(out, f'd{i}.xml'), 'w') as f:
        f.write(domain(random.Random(seed * 100003 + i), i))
