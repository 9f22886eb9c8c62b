package main

import (
	"encoding/hex"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/dstack/compose"
	"github.com/tdxkit/tdxkit/internal/bin"
)

func composeHashCommand() *cli.Command {
	return &cli.Command{
		Name:        "compose-hash",
		Usage:       "the compose-hash of an app-compose.json, and the images in it that are not pinned",
		UsageText:   "tdxkit compose-hash [--require-pinned] [--output text|json] app-compose.json",
		Description: "The hash is of the file's bytes: written anew with the same meaning, it is another application.\n\nExample:\n  tdxkit compose-hash app-compose.json",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "require-pinned", Usage: "end with exit code 1 if an image is not pinned by its digest"},
			outputFlag(),
		},
		Action: composeHash,
	}
}

type composeHashJSON struct {
	Schema string             `json:"schema"`
	Hash   string             `json:"compose_hash"`
	AppID  string             `json:"app_id"` // unless a KMS or the deployment gives another
	Name   string             `json:"name,omitempty"`
	Images []composeImageJSON `json:"images"`
}

type composeImageJSON struct {
	Service string `json:"service"`
	Image   string `json:"image"`
	Pinned  bool   `json:"pinned"`
	Why     string `json:"why,omitempty"`
}

func composeHash(c *cli.Context) error {
	p, err := newPrinter(c)
	if err != nil {
		return err
	}
	path, err := oneArg(c, "FILE")
	if err != nil {
		return err
	}
	data, err := readFile(path, roleOther, bin.MaxJSON)
	if err != nil {
		return err
	}
	app, err := dstack.ParseAppCompose(data)
	if err != nil {
		return inFile(path, roleOther, err)
	}
	id := dstack.AppIDOf(app.Hash)
	v := composeHashJSON{Schema: "tdxkit.compose-hash/v1", Hash: hex.EncodeToString(app.Hash[:]), AppID: hex.EncodeToString(id[:]), Name: app.Name, Images: []composeImageJSON{}}
	open := 0
	if app.DockerCompose != "" {
		images, err := compose.Images([]byte(app.DockerCompose))
		if err != nil {
			return inFile(path+": docker_compose_file", roleOther, err)
		}
		for _, im := range images {
			if !im.Pinned {
				open++
			}
			v.Images = append(v.Images, composeImageJSON{im.Service, im.Ref, im.Pinned, im.Why})
		}
	}
	err = p.result(v, func() {
		p.printf("%s\n", v.Hash)
		for _, im := range v.Images {
			if !im.Pinned {
				p.printf("not pinned: service %s, image %q: %s\n", oneLine(im.Service), im.Image, im.Why)
			}
		}
	})
	if err == nil && open > 0 && c.Bool("require-pinned") {
		return &mismatchError{fmt.Sprintf("%d of %d images are not pinned by their digest", open, len(v.Images))}
	}
	return err
}
