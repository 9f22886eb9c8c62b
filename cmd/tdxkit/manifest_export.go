package main

import "github.com/urfave/cli/v2"

func manifestExportCommand(t *terminal) *cli.Command {
	return &cli.Command{Name: "export"}
}
