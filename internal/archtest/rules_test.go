package archtest_test

const module = "github.com/belaydev/belay"

// Budgets.
const (
	maxFileLines    = 500
	maxFuncLines    = 80
	maxPackageLines = 1500
	maxParams       = 5
)

// rule gives, for the first pattern that matches a package, what it may import from this module besides the
// vocabulary (the root package). "x/..." is x and everything below it.
type rule struct{ pkg, may, why string }

var rules = []rule{
	{"", "", "the vocabulary imports the standard library only"},
	{"cmd/belay", "internal/cli", "main turns the operating system into a context and nothing else"},
	{"client", "", "anyone may use the client; it knows the vocabulary only"},

	{"internal/lib/...", "internal/lib/...", "lib is small and knows nothing of belay"},
	{"internal/config/...", "internal/config/... internal/lib/...", "configuration knows no other package; app translates"},
	{"internal/judge/...", "internal/judge/...", "judging is pure: no store, no clock, no network"},
	{"internal/watch/state", "internal/lib/...", "deciding is pure: an input in, a state and commands out"},
	{"internal/watch", "internal/watch/state internal/judge/... internal/rollback/plan internal/lib/...", "the conductor meets the stages through its own interfaces"},

	{"internal/observe/traffic", "internal/proxy/proxyclient internal/lib/...", "reads the proxy's counts through its client"},
	{"internal/observe/...", "internal/observe/... internal/lib/...", "a stage does not know its neighbours; app connects them"},
	{"internal/alert/...", "internal/alert/... internal/lib/...", "a stage does not know its neighbours; app connects them"},
	{"internal/rollback/plan", "internal/lib/...", "building a plan is pure"},
	{"internal/rollback/drivertest", "internal/rollback internal/lib/...", "the suite knows the contract only"},
	{"internal/rollback/driver/proxy", "internal/proxy/proxyclient internal/lib/...", "a driver knows its own target, no other driver"},
	{"internal/rollback/driver/...", "internal/lib/...", "a driver knows its own target, no other driver"},
	{"internal/rollback", "internal/rollback/plan internal/lib/...", "a stage does not know its neighbours; app connects them"},
	{"internal/prove/...", "internal/prove/... internal/lib/...", "a stage does not know its neighbours; app connects them"},
	{"internal/learn/backtest/...", "internal/learn/backtest/... internal/judge/... internal/lib/...", "replays the past through the judge, and through nothing else"},
	{"internal/learn/...", "internal/learn/... internal/lib/...", "a stage does not know its neighbours; app connects them"},

	{"internal/proxy/proxyclient", "", "the wire types are shared by both ends"},
	{"internal/proxy/count", "internal/proxy/proxyclient", "counting knows what it counts and the wire types"},
	{"internal/proxy/state", "", "a file's form and nothing else"},
	{"internal/proxy/admin", "internal/proxy/proxyclient", "the API knows the data plane by an interface"},
	{"internal/proxy", "internal/proxy/... internal/lib/...", "the data plane outlives the controller and knows nothing of it"},
	{"internal/store/storetest", "internal/lib/...", "the suite knows the vocabulary only"},
	{"internal/store/...", "internal/lib/...", "a store knows the vocabulary only"},
	{"internal/serve/...", "internal/serve/... internal/lib/...", "serving declares what it needs; app passes it"},
	{"internal/cli/...", "client internal/app internal/app/replay internal/config internal/app/past internal/app/advice internal/learn/backtest internal/judge internal/judge/judgetest internal/judge/picture internal/cli/... internal/lib/...", "a command talks to the client; app is for serve and --standalone, replay and past for evidence that is judged again"},
	{"internal/app/...", "...", ""},
	{"internal/archtest", "", "it only looks"},

	{"examples/...", "client", "an example uses belay from outside"},
	{"test/...", "...", ""},
}

// confined names the only folders that may import a module or a package.
var confined = []struct{ prefix, where string }{
	{"github.com/prometheus/prometheus/", "internal/observe/metric/..."},
	{"github.com/prometheus/blackbox_exporter/", "internal/observe/health/..."},
	{"github.com/dbos-inc/", "internal/rollback"},
	{"database/sql", "internal/store/... internal/rollback"},
	{"modernc.org/sqlite", "internal/store/... internal/rollback"},
	{"github.com/spf13/", "internal/cli/..."},
	{"charm.land/", "internal/cli/..."},
	{"go.yaml.in/yaml/", "internal/config/... internal/observe/metric"},
}

// pure packages may import none of these: what they answer depends on their arguments alone.
var (
	pure    = []string{"", "internal/judge/...", "internal/watch/state", "internal/rollback/plan", "internal/learn/dora", "internal/learn/cause", "internal/learn/backtest/..."}
	impure  = []string{"os", "os/exec", "net", "net/http", "database/sql", "log", "log/slog", "math/rand", "math/rand/v2", "crypto/rand", "io/fs", "path/filepath", "syscall"}
	clock   = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
	banned  = []string{"util", "utils", "common", "helper", "helpers", "misc", "types", "models", "base", "manager", "shared"}
	noInit  = "a package is wired by app, not by being imported"
	mainTop = 40 // lines of cmd/belay/main.go
)
