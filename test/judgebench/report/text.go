package report

// The prose of the document. What is measured stands in the tables; what is written here must be true of any judge.

const intro = "<!-- Written by \"make bench-judge\". Do not edit: run it again. -->\n\n# Decision quality\n\n" +
	"Measured by `%s` on %s, in %.0f min.\n" + `
How well the judge decides, alone and in pretended time: how often it takes back a release that is fine, how soon it
finds one that is not, how many users that harms, and how far that is from what any rule could do. belay runs with its
default policy. The rules that people use instead see the same ticks, byte for byte. Everything is drawn from seeds: the
numbers are the same on every machine, and only the time it takes is not.

`

const goalsText = `
*Efficiency* is the least number of bad answers that any rule could need, divided by the number that it took; the limit
is that of the margin which the judge keeps on purpose (see [the limit](#the-limit)).
`

const powerText = `
The error rate of the new release rises from the usual 0.5 %. Each entry: median and 90th percentile of the time from
then to the decision, a miss counting as never; and where at least 95 % were found, the mean number of bad answers of the
new release until then with its 95 % interval, and how many of them are more than the old release would have given.
"False" is how often the rule takes back a good release within the hour at the same traffic, errors being independent. In
brackets: rules that do so more than twice as often as they promise, or as the 1 % that those without a promise are held
to. Being quick is no merit there.
`

const powerNotes = `
In the grid the last two numbers are the efficiency in bad answers and in time, against the limit of the margin. Ticks are
one second: where several bad answers come in one tick, a rule cannot stop between them, and the efficiency says so. A
judge that learned from its history how little instances differ may keep a smaller margin than the limit is for, and
come out above it. History is a day. A fault that begins late costs more, and has to: who promises α for the whole watch of
length T, and finds a fault within about d of its beginning, has T/d beginnings to tell apart, which is ln(T/d) more
evidence, with ln(1/α) = 4.6 for α = 1 %. Betting less on the beginning would make the ratio look better and both times worse.
`

const nullText = `
The new release is as good as the old one, for an hour. Any verdict "regressed" counts, of the comparison, of a hard
stop or of a limit. In brackets the upper end of the exact 95 % interval (Clopper-Pearson); bold where even the lower end
is above 1 %.
`

const rivalNullText = "False rollbacks in per cent at 20 / 200 / 2000 requests/s, with the longest history that was measured:\n"

const healthyText = `
The limit is the least time in which any rule could show that the release is not twice as bad as the old one, or that its
error rate is below 1 %, being wrong once in 20 times. The last column is how often a release that is just twice as bad,
as the policy must not pass more than once in 20 times, is called healthy before it is found.

`

const latencyText = `
Response times are log-normal with a median of 100 ms and a σ of 0.6, or come two thirds from a cache ("cache"). "load":
all requests slow down and speed up together by 30 %; "uneven": each instance is faster or slower than the others, for
good, with a standard deviation of 3 %. Buckets: Prometheus' eleven default ones (classic), 35 chosen with care (fine), and
those of a native histogram with four for each doubling (native). The limit is that of these buckets without any margin.
The judge leaves out a warm-up on purpose, which is part of its time.
`

const arrivalText = `
Requests per minute of the 1998 World Cup site, Poisson within a minute, thinned at random into two sides of which the
candidate gets a tenth. Errors are put in: in clumps of random size with a mean of two, the others of a clump following 1
to 3 s later. Each run begins at another minute of the trace, with the day before it as its history. Quiet: 5 to 30
requests/s over the watch, usual: 30 to 300, busy: more.
`

const gaugeText = `
The use of CPU of instances that all move together by ±40 % within the hour, each of which has its own level for good
(standard deviation 8 %) and its own slow wobble (10 %, forgotten after half a minute).
`

const placeboText = `
Production series whose anomalies people have labelled, with nothing beside them: each watch compares with what was
before. False alarms in 1,000 watches of deployments that never were, at moments around which nothing is labelled; then
the share that is found of deployments after which a labelled anomaly of at least three readings begins. A watch is an
hour, or a day where readings are hourly. Watches of one series overlap, so they tell less than their number says.
`

const missetText = `
What a parameter costs that somebody set by hand and that is wrong by half, either way: false rollbacks on three nulls,
and the time to find a regression. The margin is off by half of what it is above 1, the dispersion by half of the true size
of the clumps.
`

const rulesText = `
All rules see a tick every second, summed up over instances and endpoints as they do; the judge sees the ticks
themselves. Rules that have no promise of their own are held to 1 %. Products are rebuilt from their sources with
their defaults and the values of their documented examples: rules, not the products at work, and their users can choose
other windows and limits.
`

const method = `
## The limit

A rule that takes back a good release with a chance of at most α, however long it watches, and finds a bad one surely,
needs in the mean ln(1/α) over the information of one observation (Wald, 1945). What the information is depends on what a
bad release must be told from. Where the usual error rate has to be learned beside it, that is any pair of equal rates;
with a margin, any pair whose ratio is within the margin: for a candidate with rate p1 and share ρ of the requests beside
p0, with the margin ψ, the least over q of ρ·KL(p1‖ψq) + (1-ρ)·KL(p0‖q) for each request. A margin costs most where
regressions are small; that is its purpose, since two instances of one release differ too. For independent errors and
α = 1 %. Of errors that come in clumps, a clump is counted as one. Rules that are read once a tick are later by up to a
tick.

## How it is measured

A run is one deployment: its history where it has one, then an hour in ticks of one second, ten instances before and
after. Requests are Poisson, errors binomial unless it says otherwise. The draws of a run depend on its cell and number
alone, and the watch is the same whatever the history. A rule is asked no more once it has decided. A decision before a
fault begins is a false rollback and is left out of the delays. Harm counts the bad answers of the new release from
the beginning of the fault to the decision, or to the end.

What this does not show: several signals at once, people, and the time that a rollback itself takes, which
[benchmarks.md](benchmarks.md) measures.

`
