package qemu

// The properties of devices by QEMU's names, as "-device NAME,help" of 7.2, 10.0.13 and 11.1.3 lists them: those that
// whole groups have, and in deviceProps what a driver has beside its group's. Names only: what a property does is decided
// in props.go.
const (
	commonProps = "acpi-index addr busnr failover_pair_id multifunction rombar romfile romsize sriov-pf " +
		"x-max-bounce-buffer-size x-pcie-ari-nextfn-1 x-pcie-err-unc-mask x-pcie-ext-tag x-pcie-extcap-init " +
		"x-pcie-lnksta-dllla "
	virtioProps = "aer any_layout ats class disable-legacy disable-modern event_idx in_order indirect_desc ioeventfd " +
		"iommu_platform migrate-extra modern-pio-notify notify_on_empty packed page-per-vq queue_reset " +
		"use-disabled-flag use-started vectors virtio-backend virtio-pci-bus-master-bug-migration " +
		"x-ats-page-aligned x-disable-legacy-check x-disable-pcie x-ignore-backend-features x-pcie-deverr-init " +
		"x-pcie-flr-init x-pcie-lnkctl-init x-pcie-pm-init x-pcie-pm-no-soft-reset "
	blockProps = "account-failed account-invalid backend_defaults bootindex cyls discard_granularity drive heads lcyls " +
		"lheads logical_block_size lsecs min_io_size opt_io_size physical_block_size rerror secs serial share-rw " +
		"stats-intervals werror write-cache "
	usbProps = "attached msos-desc pcap port serial usb_version "
	nicProps = "bootindex mac netdev "
	vgaProps = "big-endian-framebuffer edid global-vmstate mmio qemu-extended-regs refresh_rate vgamem_mb xmax xres ymax " +
		"yres "
	bridgeProps = "aer_log_max port x-pci-express-writeable-slt-bug "
)

// deviceProps maps drivers to their own properties; drivers that share them share a row.
var deviceProps = []struct{ drivers, props string }{
	{"virtio-blk-pci",
		"config-wce discard iothread iothread-vq-mapping max-discard-sectors max-write-zeroes-sectors " +
			"num-queues queue-size report-discard-granularity request-merging scsi seg-max-adjust write-zeroes " +
			"x-enable-wce-if-config-wce"},
	{"virtio-net-pci",
		"csum ctrl_guest_offloads ctrl_mac_addr ctrl_rx ctrl_rx_extra ctrl_vlan ctrl_vq duplex ebpf-rss-fds " +
			"failover gso guest_announce guest_csum guest_ecn guest_rsc_ext guest_tso4 guest_tso6 guest_tunnel " +
			"guest_tunnel_csum guest_ufo guest_uso4 guest_uso6 hash hash-ipv4 hash-ipv6 hash-ipv6ex hash-tcp4 " +
			"hash-tcp6 hash-tcp6ex hash-udp4 hash-udp6 hash-udp6ex host_ecn host_mtu host_tso4 host_tso6 " +
			"host_tunnel host_tunnel_csum host_ufo host_uso mq mrg_rxbuf rsc_interval rss rx_queue_size speed " +
			"status tx tx_queue_size x-mtu-bypass-backend x-txburst x-txtimer"},
	{"virtio-scsi-pci",
		"cmd_per_lun hotplug iothread iothread-vq-mapping max_sectors num_queues param_change seg_max_adjust " +
			"virtqueue_size"},
	{"virtio-serial-pci",
		"emergency-write max_ports"},
	{"virtio-balloon-pci",
		"deflate-on-oom free-page-hint free-page-reporting guest-stats guest-stats-polling-interval iothread " +
			"page-poison qemu-4-0-config-size"},
	{"virtio-rng-pci",
		"max-bytes period rng"},
	{"virtio-9p-pci",
		"fsdev mount_tag"},
	{"vhost-scsi-pci",
		"boot_tpgt bootindex cmd_per_lun hotplug max_sectors migratable num_queues seg_max_adjust t10_pi " +
			"vhostfd virtqueue_size worker_per_virtqueue wwpn"},
	{"vhost-user-scsi-pci",
		"boot_tpgt bootindex chardev cmd_per_lun hotplug max_sectors num_queues param_change t10_pi " +
			"virtqueue_size"},
	{"vhost-user-blk-pci",
		"bootindex chardev config-wce discard inflight-migration num-queues queue-size seg-max-adjust " +
			"skip-get-vring-base-on-force-shutdown write-zeroes"},
	{"virtio-crypto-pci",
		"cryptodev"},
	{"virtio-input-host-pci",
		"evdev serial"},
	{"vhost-vsock-pci",
		"guest-cid seqpacket vhostfd"},
	{"vhost-user-vsock-pci",
		"chardev seqpacket"},
	{"vhost-user-fs-pci",
		"bootindex chardev num-request-queues queue-size tag"},
	{"virtio-keyboard-pci virtio-multitouch-pci",
		"display head serial"},
	{"virtio-mouse-pci virtio-tablet-pci",
		"display head serial wheel-axis"},
	{"virtio-sound-pci",
		"audiodev chmaps jacks streams"},
	{"virtio-gpu-pci",
		"blob edid hostmem max_hostmem max_outputs outputs x-scanout-vmstate-version xres yres"},
	{"virtio-iommu-pci",
		"aw-bits boot-bypass granule len-reserved-regions primary-bus reserved-regions"},
	{"e1000 e1000-82544gc e1000-82545em",
		"autonegotiation extra_mac_registers init-vet migrate_tso_props mitigation"},
	{"e1000e",
		"disable_vnet_hdr init-vet migrate-timadj subsys subsys_ven"},
	{"igb",
		"x-pcie-flr-init"},
	{"vmxnet3",
		"x-disable-pcie x-old-msi-offsets"},
	{"rocker",
		"fp_start_macaddr len-ports name ports switch_id world"},
	{"nvme",
		"aer_max_queued aerl atomic.awun atomic.awupf atomic.dn cmb_size_mb ctratt.mem dbcs firmware-version " +
			"ioeventfd legacy-cmb max_ioqpairs mdts model mqes msix-exclusive-bar msix_qsize num_queues ocp pmrdev " +
			"smart_critical_warning spdm_port spdm_trans sriov_max_vfs sriov_max_vi_per_vf sriov_max_vq_per_vf " +
			"sriov_vi_flexible sriov_vq_flexible subsys use-intel-id vsl zoned.auto_transition zoned.zasl"},
	{"ich9-ahci",
		"update-irq"},
	{"sdhci-pci",
		"capareg endianness maxcurr sd-spec-version uhs vendor"},
	{"megasas megasas-gen2",
		"hba_serial max_cmds max_sge msi msix sas_address use_jbod"},
	{"mptsas1068",
		"msi sas_address"},
	{"pvscsi",
		"use_msg x-disable-pcie x-old-pci-configuration"},
	{"am53c974 dc390",
		"esp"},
	{"ufs",
		"mcq mcq-maxq nutmrs nutrs serial wb-max-size wb-min-size"},
	{"qemu-xhci",
		"conditional-intr-mapping host msi msix p2 p3 streams xhci-core"},
	{"nec-usb-xhci",
		"conditional-intr-mapping force-pcie-endcap host intrs msi msix p2 p3 slots streams " +
			"superspeed-ports-first xhci-core"},
	{"ich9-usb-ehci1 ich9-usb-ehci2 usb-ehci",
		"maxframes"},
	{"ich9-usb-uhci1 ich9-usb-uhci2 ich9-usb-uhci3 ich9-usb-uhci4 ich9-usb-uhci5 ich9-usb-uhci6",
		"bandwidth firstport masterbus maxframes"},
	{"piix3-usb-uhci piix4-usb-uhci",
		"bandwidth maxframes"},
	{"pci-ohci",
		"firstport masterbus num-ports"},
	{"cirrus-vga",
		"blitter global-vmstate vgamem_mb"},
	{"vmware-svga",
		"global-vmstate vgamem_mb"},
	{"ati-vga",
		"guest_hwcursor model x-device-id x-linear-aper-size x-pixman"},
	{"virtio-vga",
		"blob hostmem max_hostmem max_outputs outputs x-scanout-vmstate-version"},
	{"qxl qxl-vga",
		"cmdlog debug guestdebug max_outputs ram_size ram_size_mb revision surfaces vgamem_mb vram64_size_mb vram_size " +
			"vram_size_mb xres yres global-vmstate"},
	{"nvme-subsys",
		"fdp fdp.nrg fdp.nruh fdp.runs nqn"},
	{"bochs-display",
		"vgamem"},
	{"ich9-intel-hda intel-hda",
		"debug msi old_msi_addr"},
	{"AC97 ES1370",
		"audiodev"},
	{"edu",
		"dma_mask"},
	{"pci-testdev",
		"membar membar-backed"},
	{"ivshmem-plain",
		"master memdev"},
	{"pvpanic-pci",
		"events"},
	{"pci-serial",
		"baudbase chardev prog_if serial wakeup"},
	{"pci-serial-2x",
		"chardev1 chardev2 prog_if"},
	{"pci-serial-4x",
		"chardev1 chardev2 chardev3 chardev4 prog_if"},
	{"pci-ipmi-kcs pci-ipmi-bt",
		"bmc"},
	{"vfio-pci",
		"ats bootindex display enable-migration fd host iommufd migration-events skip-vsc-check sysfsdev " +
			"vf-token x-balloon-allowed x-device-dirty-page-tracking x-enable-migration x-igd-gms x-igd-legacy-mode " +
			"x-igd-lpc x-igd-opregion x-intx-mmap-timeout-ms x-migration-load-config-after-iter " +
			"x-migration-max-queued-buffers-size x-migration-multifd-transfer x-msix-relocation x-no-geforce-quirks " +
			"x-no-kvm-intx x-no-kvm-ioeventfd x-no-kvm-msi x-no-kvm-msix x-no-mmap x-no-vfio-ioeventfd " +
			"x-nv-gpudirect-clique x-pci-class-code x-pci-device-id x-pci-sub-device-id x-pci-sub-vendor-id " +
			"x-pci-vendor-id x-pre-copy-dirty-page-tracking x-req x-vga x-vpasid-cap-offset xres yres"},
	{"vfio-pci-nohotplug",
		"ats bootindex display enable-migration fd host iommufd migration-events ramfb skip-vsc-check sysfsdev " +
			"use-legacy-x86-rom vf-token x-balloon-allowed x-device-dirty-page-tracking x-enable-migration " +
			"x-igd-gms x-igd-legacy-mode x-igd-lpc x-igd-opregion x-intx-mmap-timeout-ms " +
			"x-migration-load-config-after-iter x-migration-max-queued-buffers-size x-migration-multifd-transfer " +
			"x-msix-relocation x-no-geforce-quirks x-no-kvm-intx x-no-kvm-ioeventfd x-no-kvm-msi x-no-kvm-msix " +
			"x-no-mmap x-no-vfio-ioeventfd x-nv-gpudirect-clique x-pci-class-code x-pci-device-id " +
			"x-pci-sub-device-id x-pci-sub-vendor-id x-pci-vendor-id x-pre-copy-dirty-page-tracking x-ramfb-migrate " +
			"x-req x-vga x-vpasid-cap-offset xres yres"},
	{"pcie-root-port",
		"bus-reserve chassis disable-acs hotplug io-reserve mem-reserve power_controller_present pref32-reserve " +
			"pref64-reserve slot x-do-not-expose-native-hotplug-cap x-migrate-msix x-native-hotplug x-speed x-width"},
	{"ioh3420",
		"chassis disable-acs hotplug power_controller_present slot x-do-not-expose-native-hotplug-cap " +
			"x-native-hotplug"},
	{"xio3130-downstream",
		"chassis hotplug power_controller_present slot x-do-not-expose-native-hotplug-cap x-native-hotplug"},
	{"pci-bridge",
		"bus-reserve chassis_nr io-reserve mem-reserve msi pref32-reserve pref64-reserve shpc"},
	{"pcie-pci-bridge",
		"msi"},
	{"pxb-pcie",
		"bus_nr bypass_iommu numa_node"},
	{"isa-serial",
		"baudbase chardev index iobase irq serial wakeup"},
	{"isa-parallel",
		"chardev index iobase irq"},
	{"isa-debugcon",
		"chardev iobase readback"},
	{"isa-debug-exit",
		"iobase iosize"},
	{"isa-applesmc",
		"iobase osk"},
	{"pvpanic",
		"events ioport"},
	{"isa-ipmi-kcs isa-ipmi-bt",
		"bmc ioport irq"},
	{"tpm-tis",
		"irq ppi tpmdev"},
	{"tpm-crb",
		"cap-chunk ppi tpmdev x-allow-chunk-migration"},
	{"vmgenid",
		"guid"},
	{"ipmi-bmc-sim",
		"device_id device_rev fruareasize frudatafile fwrev1 fwrev2 guid ipmi_version lan.channel " +
			"lan.defgw_ipaddr lan.defgw_macaddr lan.ipaddr lan.ipsrc lan.macaddr lan.netmask mfg_id product_id " +
			"sdrfile slave_addr"},
	{"ipmi-bmc-extern",
		"chardev slave_addr"},
	{"intel-iommu",
		"aw-bits caching-mode device-iotlb dma-drain dma-translation eim fs1gp fsts intremap pasid-bits pt " +
			"scalable-mode snoop-control stale-tm svm version x-buggy-eim x-flts x-pasid-mode x-scalable-mode"},
	{"amd-iommu",
		"device-iotlb dma-remap dma-translation intremap pci-id pt xtsup"},
	{"pc-dimm",
		"addr memdev node slot"},
	{"nvdimm",
		"addr label-size memdev node slot unarmed uuid"},
	{"virtio-mem-pci",
		"block-size dynamic-memslots memaddr memdev node prealloc requested-size unplugged-inaccessible x-early-migration"},
	{"virtio-pmem-pci",
		"memaddr memdev"},
	{"acpi-erst",
		"memdev record_size"},
	{"pxb-cxl",
		"bus_nr bypass_iommu hdm_for_passthrough numa_node"},
	{"cxl-rp",
		"addr chassis multifunction port slot"},
	{"cxl-type3",
		"lsa persistent-memdev sn volatile-memdev"},
	{"smbus-ipmi",
		"address bmc"},
	{"ramfb",
		"use-legacy-x86-rom x-migrate"},
	{"ide-hd",
		"bios-chs-trans model rotation_rate unit ver win2k-install-hack wwn"},
	{"ide-cd",
		"model unit ver win2k-install-hack wwn"},
	{"ide-cf",
		"bios-chs-trans model unit ver win2k-install-hack wwn"},
	{"scsi-hd",
		"channel device_id dpofua lun max_io_size max_unmap_size migrate-emulated-scsi-request port_index " +
			"port_wwn product quirk_mode_page_set_block_size quirk_mode_page_vendor_specific_apple removable " +
			"rotation_rate scsi-id scsi_version vendor ver wwn"},
	{"scsi-cd",
		"channel device_id lun max_io_size migrate-emulated-scsi-request port_index port_wwn product " +
			"quirk_mode_page_apple_vendor quirk_mode_page_set_block_size quirk_mode_page_truncated " +
			"quirk_mode_page_vendor_specific_apple quirk_mode_sense_rom_use_dbd scsi-id scsi_version vendor ver wwn"},
	{"scsi-block",
		"bootindex channel drive io_timeout lun max_io_size max_unmap_size migrate-pr rerror rotation_rate " +
			"scsi-id scsi_version share-rw werror"},
	{"scsi-generic",
		"bootindex channel drive io_timeout lun scsi-id share-rw"},
	{"nvme-ns",
		"atomic.nabo atomic.nabsn atomic.nabspf atomic.nawun atomic.nawupf detached eui64 eui64-default " +
			"fdp.ruhs mcl ms mset msrc mssrl nguid nsid pi pif pil shared uuid zoned zoned.cross_read " +
			"zoned.descr_ext_size zoned.max_active zoned.max_open zoned.numzrwa zoned.zone_capacity zoned.zone_size " +
			"zoned.zrwafg zoned.zrwas"},
	{"virtserialport virtconsole",
		"chardev name nr"},
	{"hda-duplex hda-micro hda-output",
		"audiodev cad debug mixer use-timer"},
	{"usb-kbd",
		"display"},
	{"usb-tablet",
		"display head"},
	{"usb-storage",
		"commandlog removable"},
	{"usb-hub",
		"port-power ports"},
	{"usb-serial",
		"always-plugged chardev"},
	{"usb-host",
		"bootindex guest-reset guest-resets-all hostaddr hostbus hostdevice hostport isobsize isobufs loglevel " +
			"pipeline productid suppress-remote-wake vendorid"},
	{"usb-redir",
		"bootindex chardev debug filter streams suppress-remote-wake"},
	{"usb-audio",
		"audiodev buffer debug multi"},
	{"usb-ccid",
		"debug"},
	{"usb-uas",
		"log-scsi-req"},
	{"usb-mtp",
		"desc readonly rootdir"},
	{"usb-braille",
		"chardev"},
	{"ccid-card-passthru",
		"chardev debug slot"},
	{"ccid-card-emulated",
		"backend cert1 cert2 cert3 db debug slot"},
}
