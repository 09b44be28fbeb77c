package main

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A writerAmongReaders takes one key over and over while 32 workers read it over and over. All hold it
// for a millisecond. The readers ask again at once. The writer gives them time to come back first: else
// it would mostly meet none.
type writerAmongReaders struct {
	what    string
	readers side // what they did meanwhile
	both    func() (writer, readers []crowdedWorker)
	length  time.Duration
	waits   []time.Duration // of the writer, in all rounds
}

// writerWait is how long it should wait at most, p99.
const writerWait = 3*holdTime + 10*time.Millisecond

// readersReturn is that time.
const readersReturn = 10 * holdTime

func newWriter(what string, writer, readers session, length time.Duration) *writerAmongReaders {
	return &writerAmongReaders{
		what: what, length: length, readers: side{entry: newEntry("RLock, beside a writer")},
		both: func() (w, r []crowdedWorker) {
			var group sync.WaitGroup
			group.Go(func() { r = crowdOf(readers, what, crowd, length) })
			w = crowdOf(pausing(writer, readersReturn), what, 1, length)
			group.Wait()
			return w, r
		},
	}
}

func (w *writerAmongReaders) run(round int, raw *rawFile) error {
	before := readUsage()
	writer, readers := w.both()
	m := ofCrowd(readers, w.length, readUsage().since(before))
	if writer[0].Failed > 0 || m.Failed > 0 {
		return fmt.Errorf("%s: %s", w.what, cmp.Or(writer[0].Error, m.Error))
	}
	if round == 0 {
		return nil
	}
	w.readers.rounds = append(w.readers.rounds, m)
	w.waits = append(w.waits, writer[0].Waits...)
	return raw.write(struct {
		What  string
		Round int
		Waits []time.Duration
		measurement
	}{w.what, round, writer[0].Waits, m})
}

func (w *writerAmongReaders) String() string {
	if len(w.waits) == 0 {
		return fmt.Sprintf("| %s | it was never let in | | | at most %v | no |", w.what, writerWait)
	}
	waits := latenciesOf(slices.Clone(w.waits))
	return fmt.Sprintf("| %s, wait p99 of %d | %s (p50 %s, max %s) | | | at most %v | %s |", w.what, len(w.waits),
		short(waits.P99), short(waits.P50), short(waits.Max), writerWait, yesNo(waits.P99 <= writerWait))
}

// pausing has workers pause after each Unlock.
func pausing(s session, d time.Duration) session {
	return session{worker: func(key string) worker { return pausingWorker{s.worker(key), d} }}
}

type pausingWorker struct {
	worker
	pause time.Duration
}

func (w pausingWorker) Unlock() error {
	defer time.Sleep(w.pause)
	return w.worker.Unlock()
}
