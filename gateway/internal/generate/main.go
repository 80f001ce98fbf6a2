// The generator makes what is derived from elsewhere in the project: Go from proto/, the route table from proto/http.yaml, the list of
// settings from server/common/settings.def, and the OpenAPI document. A file is written only when its content changes.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/format"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

const (
	module     = "github.com/mosaajii/backup/gateway"
	apiPackage = module + "/internal/gen/backupv1"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("generate: ")
	protos := flag.String("proto", "../proto", "the folder of the protos")
	settings := flag.String("settings", "../server/common/settings.def", "the definition of the settings")
	tools := flag.String("tools", "../build/go-tools", "where protoc's plugins are put")
	flag.Parse()
	if err := generate(*protos, *settings, *tools); err != nil {
		log.Fatal(err)
	}
}

func generate(protos, settings, tools string) error {
	scratch, err := os.MkdirTemp("", "mosaajii-gateway-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	if err = runPlugins(protos, tools, scratch); err != nil {
		return err
	}
	if err = keepGo(scratch); err != nil {
		return err
	}
	routes, err := readRoutes(filepath.Join(protos, "http.yaml"))
	if err != nil {
		return err
	}
	if err = writeRoutes(routes); err != nil {
		return err
	}
	if err = writeSettings(settings); err != nil {
		return err
	}
	files, err := readDescriptors(filepath.Join(scratch, "api.binpb"))
	if err != nil {
		return err
	}
	document, err := makeDocument(routes, files)
	if err != nil {
		return err
	}
	return keep("internal/gen/openapi.json", document)
}

func runPlugins(protos, tools, scratch string) error {
	files, err := filepath.Glob(filepath.Join(protos, "mosaajii/backup/v1/*.proto"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no protos in %s", protos)
	}
	tools, err = filepath.Abs(tools)
	if err != nil {
		return err
	}
	if err = os.MkdirAll(tools, 0o755); err != nil {
		return err
	}
	build := []string{"build", "-o", tools + "/", "google.golang.org/protobuf/cmd/protoc-gen-go",
		"google.golang.org/grpc/cmd/protoc-gen-go-grpc", "github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-grpc-gateway"}
	if err = run("go", build...); err != nil {
		return err
	}
	arguments := []string{"-I" + protos, "-I/usr/include", "--include_imports", "--include_source_info",
		"--descriptor_set_out=" + filepath.Join(scratch, "api.binpb")}
	mapping := "module=" + module
	for i, file := range files {
		name, err := filepath.Rel(protos, file)
		if err != nil {
			return err
		}
		files[i] = name
		mapping += ",M" + name + "=" + apiPackage
	}
	routes := ",grpc_api_configuration=" + filepath.Join(protos, "http.yaml")
	for plugin, options := range map[string]string{
		"go": mapping, "go-grpc": mapping, "grpc-gateway": mapping + routes,
	} {
		arguments = append(arguments, fmt.Sprintf("--plugin=protoc-gen-%s=%s/protoc-gen-%s", plugin, tools, plugin),
			fmt.Sprintf("--%s_out=%s", plugin, scratch), fmt.Sprintf("--%s_opt=%s", plugin, options))
	}
	return run("protoc", append(arguments, files...)...)
}

func run(name string, arguments ...string) error {
	command := exec.Command(name, arguments...)
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// keepGo takes the generated Go over and removes what is no longer generated.
func keepGo(scratch string) error {
	const folder = "internal/gen/backupv1"
	made := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(scratch, folder, "*.go"))
	if err != nil {
		return err
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		made[filepath.Base(file)] = true
		if err = keep(filepath.Join(folder, filepath.Base(file)), content); err != nil {
			return err
		}
	}
	old, err := filepath.Glob(filepath.Join(folder, "*.pb*.go"))
	if err != nil {
		return err
	}
	for _, file := range old {
		if !made[filepath.Base(file)] {
			if err = os.Remove(file); err != nil {
				return err
			}
		}
	}
	return nil
}

func keep(path string, content []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	return os.WriteFile(path, content, 0o644)
}

func keepFormatted(path string, source *bytes.Buffer) error {
	content, err := format.Source(source.Bytes())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return keep(path, content)
}

func readDescriptors(path string) (*protoregistry.Files, error) {
	packed, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var set descriptorpb.FileDescriptorSet
	if err = proto.Unmarshal(packed, &set); err != nil {
		return nil, err
	}
	return protodesc.NewFiles(&set)
}

type route struct {
	Method, Template, RPC, Body string
}

func readRoutes(path string) ([]route, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var configuration struct {
		HTTP struct {
			Rules []map[string]string
		} `yaml:"http"`
	}
	if err = yaml.Unmarshal(text, &configuration); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var routes []route
	for _, rule := range configuration.HTTP.Rules {
		made := route{RPC: rule["selector"], Body: rule["body"]}
		for _, method := range []string{"get", "post", "put", "patch", "delete"} {
			if template := rule[method]; template != "" {
				made.Method, made.Template = strings.ToUpper(method), template
			}
		}
		if made.Method == "" {
			return nil, fmt.Errorf("%s: %s has no path", path, made.RPC)
		}
		routes = append(routes, made)
	}
	return routes, nil
}

func writeRoutes(routes []route) error {
	var source bytes.Buffer
	source.WriteString("// Code generated from proto/http.yaml. DO NOT EDIT.\n\npackage routes\n\nvar table = []entry{\n")
	for _, r := range routes {
		fmt.Fprintf(&source, "{%q, %q, %q, %q},\n", r.Method, r.Template, r.RPC, r.Body)
	}
	source.WriteString("}\n")
	return keepFormatted("internal/routes/table_generated.go", &source)
}

// A line of settings.def: X(NAME, TYPE, secret, "default", "meaning").
var settingLine = regexp.MustCompile(`(?m)^X\((\w+), (\w+), (true|false), ("(?:[^"\\]|\\.)*"), ("(?:[^"\\]|\\.)*")\)$`)

func writeSettings(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	found := settingLine.FindAllStringSubmatch(string(text), -1)
	if len(found) != strings.Count("\n"+string(text), "\nX(") {
		return fmt.Errorf("%s: a line is not of the form X(NAME, TYPE, secret, \"default\", \"meaning\")", path)
	}
	var source bytes.Buffer
	source.WriteString("// Code generated from server/common/settings.def. DO NOT EDIT.\n\npackage settings\n\nvar definitions = []definition{\n")
	for _, line := range found {
		fallback, err := strconv.Unquote(line[4])
		if err != nil {
			return err
		}
		meaning, err := strconv.Unquote(line[5])
		if err != nil {
			return err
		}
		fmt.Fprintf(&source, "{%q, %q, %q, %q},\n", line[1], line[2], fallback, meaning)
	}
	source.WriteString("}\n")
	return keepFormatted("internal/settings/table_generated.go", &source)
}
