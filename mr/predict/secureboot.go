package predict

import (
	"crypto"
	"errors"
	"fmt"
	"sync"

	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/kernel"
	"github.com/tdxkit/tdxkit/ovmf"
	"github.com/tdxkit/tdxkit/ovmf/secureboot"
)

// secureBootOn says whether the firmware starts only images that its variable store allows.
func secureBootOn(p *platform) Answer { return and(p.profile.SecureBoot, p.profile.PKEnrolled) }

// notStarted says why the kernel does not start, or why it is not known whether it does. What is started instead is not
// predicted.
func notStarted(p *platform) (string, error) {
	if p.profile.Measures != Yes || p.Kernel == nil || shimmed(p) == Unknown || shimmed(p) == Yes && p.Shim == nil {
		return "", nil // other blockers say why
	}
	switch secureBootOn(p) {
	case No:
		return "", nil
	case Unknown:
		return "the firmware's bytes do not say whether Secure Boot is on", nil
	}
	verdict, err := p.verdict()
	var u *UnknownError
	switch {
	case errors.As(err, &u):
		return u.Reason, nil
	case err != nil:
		return "", err
	case verdict.Refusal == "" && shimmed(p) == Yes:
		return shimKernelRefused(p), nil
	case verdict.Refusal == "":
		return "", nil
	}
	why := "Secure Boot is on, and the firmware does not start the " + verdict.image + ": " + verdict.Refusal
	if shimmed(p) == No && p.profile.between.since(202511) != Yes { // 5a6a9f7955, OvmfPkg/Library/X86QemuLoadImageLib
		why += " (edk2 before 202511 falls back to its legacy loader, which is not predicted)"
	}
	return why, nil
}

// authorities are the entries of db by which the kernel starts.
func authorities(p *platform) ([]Measurement, error) {
	verdict, err := p.verdict()
	if err != nil {
		return nil, err
	}
	if verdict.Refusal != "" {
		return nil, unknown("the firmware does not start the %s: %s", verdict.image, verdict.Refusal)
	}
	var out []Measurement
	for _, e := range verdict.Authorities {
		out = append(out, literal("entry of db that allows the "+verdict.image, authority(e).Append(nil)))
	}
	return out, nil
}

// authority is what is measured of an entry of db.
func authority(e efi.Signature) efi.VariableData {
	return efi.VariableData{GUID: efi.ImageSecurityDatabase, Name: "db", Data: append(e.Owner[:], e.Data...)}
}

// A verdict is Secure Boot's on the image that the firmware starts.
type verdict struct {
	*secureboot.Verdict
	image string // "kernel" or "shim"
}

// verdict is worked out once for each form of an image.
func (p *platform) verdict() (*verdict, error) {
	what, pe, patches, err := p.firmwareStarts()
	if err != nil {
		return nil, err
	}
	hashes := p.imageHashes()
	once, _ := p.verdicts.LoadOrStore(fmt.Sprint(what, hashes, patches), sync.OnceValues(func() (*verdict, error) {
		d, err := p.Firmware.databases()
		if err != nil {
			return nil, err
		}
		certificates, err := pe.CertificateTable()
		if err != nil {
			return nil, err
		}
		v, err := d.Judge(secureboot.Image{Digest: digester(pe, patches), Certificates: certificates, Off: pe.Certificates.Off, Hashes: hashes})
		var u *secureboot.UnsureError
		if errors.As(err, &u) {
			return nil, unknown("whether the firmware starts the %s with Secure Boot on is not known: %s", what, u.Reason)
		}
		return &verdict{v, what}, err
	}))
	return once.(func() (*verdict, error))()
}

// imageHashes are those by which the firmware looks for an image that is not signed.
func (p *platform) imageHashes() secureboot.Hashes {
	return map[Answer]secureboot.Hashes{Yes: secureboot.AllHashes, No: secureboot.SHA256Alone}[p.profile.AllImageHashes]
}

// digester returns the digest of an image under patches by any hash.
func digester(pe *kernel.PE, patches []kernel.Patch) func(crypto.Hash) ([]byte, error) {
	return func(hash crypto.Hash) ([]byte, error) {
		h := hash.New()
		if err := pe.WriteAuthenticode(h, patches); err != nil {
			return nil, err
		}
		return h.Sum(nil), nil
	}
}

// databases reads db, dbx and dbt. Lists that cannot be read make the outcome unknown, as the firmware reads them with
// less care.
func (f *Firmware) databases() (*secureboot.Databases, error) {
	img, err := f.image()
	if err != nil {
		return nil, err
	}
	store, err := img.Store()
	if err != nil {
		return nil, err
	}
	d := &secureboot.Databases{}
	for _, into := range []struct {
		name string
		db   *secureboot.Database
	}{{"db", &d.DB}, {"dbx", &d.DBX}, {"dbt", &d.DBT}} {
		if *into.db, err = database(store, into.name); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func database(store *ovmf.Store, name string) (secureboot.Database, error) {
	v := store.Lookup(efi.ImageSecurityDatabase, name)
	if v == nil {
		return nil, nil
	}
	lists, err := efi.ParseSignatureLists(v.Data, 0)
	if err != nil {
		return nil, unknown("%s of the firmware's variable store: %v", name, err)
	}
	return lists, nil
}
