// Package deploy reads deploy/docker and deploy/kubernetes with the libraries of the programs that they are for.
package deploy

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

const root = "../.."

func dockerfile(t *testing.T) []instructions.Stage {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "deploy/docker/Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.Parse(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, description, url, message string, _ []parser.Range) {
		t.Errorf("%s: %s", rule, message)
	}})
	stages, _, err := instructions.Parse(parsed.AST, lint)
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range parsed.Warnings {
		t.Error(warning.Short)
	}
	return stages
}

// Every file that is copied is there, no image runs as root, and each says how its health is seen.
func TestDockerfile(t *testing.T) {
	stages := dockerfile(t)
	made := map[string]bool{}
	for _, stage := range stages {
		if stage.BaseName != "debian:bookworm-slim" {
			t.Errorf("stage %s is from %s", stage.Name, stage.BaseName)
		}
		user, health, entry := "root", false, false
		for _, command := range stage.Commands {
			switch c := command.(type) {
			case *instructions.CopyCommand:
				for _, source := range c.SourcePaths {
					if c.From != "" {
						if !made[source] {
							t.Errorf("stage %s copies %s, which no earlier stage makes", stage.Name, source)
						}
					} else if _, err := os.Stat(filepath.Join(root, source)); err != nil {
						t.Errorf("stage %s: %v", stage.Name, err)
					}
				}
			case *instructions.RunCommand:
				words := strings.Fields(strings.Join(c.CmdLine, " "))
				for i := slices.Index(words, "/out"); i >= 0 && i < len(words); i++ {
					made["/out/"+filepath.Base(words[i])] = true
				}
			case *instructions.UserCommand:
				user = c.User
			case *instructions.HealthCheckCommand:
				health = c.Health.Test[0] == "CMD"
			case *instructions.EntrypointCommand:
				entry = !c.PrependShell
			}
		}
		if stage.Name != "build" && (user != "10001:10001" || !health || !entry) {
			t.Errorf("stage %s: user %s, health check %v, entry point without a shell %v", stage.Name, user, health, entry)
		}
	}
	if len(stages) != 3 {
		t.Errorf("%d stages", len(stages))
	}
}

func compose(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, "deploy/docker/compose.yaml")}, cli.WithProfiles([]string{"*"}))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestCompose(t *testing.T) {
	project := compose(t)
	targets := []string{}
	for _, stage := range dockerfile(t) {
		targets = append(targets, stage.Name)
	}
	for name, service := range project.Services {
		if !service.ReadOnly || !slices.Equal(service.CapDrop, []string{"ALL"}) || !slices.Contains(service.SecurityOpt, "no-new-privileges:true") ||
			len(service.CapAdd) > 0 || service.Privileged || service.User != "" {
			t.Errorf("%s is not hardened", name)
		}
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %d is published on %q", name, port.Target, port.HostIP)
			}
		}
		if service.Build != nil {
			if _, err := os.Stat(filepath.Join(service.Build.Context, service.Build.Dockerfile)); err != nil || !slices.Contains(targets, service.Build.Target) {
				t.Errorf("%s is built from %s, target %s", name, service.Build.Dockerfile, service.Build.Target)
			}
		}
		for _, volume := range service.Volumes {
			if volume.Type == types.VolumeTypeVolume {
				if _, ok := project.Volumes[volume.Source]; !ok {
					t.Errorf("%s uses the volume %s, which there is not", name, volume.Source)
				}
			} else if !volume.ReadOnly {
				t.Errorf("%s may write to %s", name, volume.Source)
			}
		}
		for setting := range service.Environment {
			known(t, name, setting)
		}
	}
	for _, name := range []string{"certificates", "server", "gateway", "cli"} {
		if _, ok := project.Services[name]; !ok {
			t.Errorf("there is no service %s", name)
		}
	}
}

var settings = func() string {
	content, err := os.ReadFile(filepath.Join(root, "server/common/settings.def"))
	if err != nil {
		panic(err)
	}
	return string(content)
}()

// known: a setting that the programs do not know would keep them from starting.
func known(t *testing.T, where, name string) {
	t.Helper()
	if !strings.Contains(settings, "\nX("+name+", ") {
		t.Errorf("%s: there is no setting %s", where, name)
	}
}
