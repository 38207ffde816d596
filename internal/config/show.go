package config

import (
	"reflect"

	"github.com/belaydev/belay/internal/config/mask"
	"github.com/belaydev/belay/internal/config/render"
)

// YAML writes the configuration with everything that is set and every default. Parsed again in the same folder
// it gives the same configuration. Secrets are written as where they are, never as what they are; what looks like
// one in a header, a variable or a URL is written as ***, which still parses, but is not the same any more.
func (c *Config) YAML() ([]byte, error) { return render.YAML(*c, mask.Setting) }

// Schema returns the JSON Schema of belay.yaml, for editors.
func Schema() ([]byte, error) {
	return render.Schema(reflect.TypeFor[Config](), "https://belay.dev/schema/belay.json", "belay.yaml")
}

// Reference returns the page that describes every key, docs/configuration.md.
func Reference() []byte {
	return append([]byte(referenceHead), render.Reference(reflect.TypeFor[Config]())...)
}

const referenceHead = `<!-- Made from the types of package config. Do not edit: go test ./internal/config -update -->

# Configuration

belay reads one file, ` + "`belay.yaml`" + `. Everything has a default; this is enough to begin with:

` + "```yaml" + `
services:
  shop:
    targets: [127.0.0.1:8000]
    health: /healthz
    rollback: ./rollback.sh
` + "```" + `

- ` + "`belay config check`" + ` names every mistake with its line and column, ` + "`belay config show`" + ` prints the file with all
  defaults, ` + "`belay config schema`" + ` prints the JSON Schema that lets editors complete and check the file:
  ` + "`# yaml-language-server: $schema=belay.schema.json`" + ` as first line.
- Durations are written ` + "`500ms`, `30s`, `5m`, `1h`, `7d`" + `; percentages ` + "`5%` or `0.05`" + `; sizes ` + "`2GiB`, `500MB`" + `. A number
  without its unit is refused.
- Relative file names, and commands given by a path, start at the folder of the file. Commands run in that folder,
  without a shell.
- A secret is never written in the file: ` + "`{env: NAME}` or `{file: path}`" + ` says where it is. ` + "`${NAME}`" + ` is not replaced. What looks like a secret in a header, a variable or a URL is shown as ` + "`***`" + `.
- YAML aliases and ` + "`<<`" + ` work; keys on the outermost level that begin with ` + "`x-`" + ` are passed over and can hold them.

`
