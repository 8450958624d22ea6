package api

import "time"

// workers run functions in goroutines that are kept for the next one. A call of the SDK is dozens of frames deep, and a new
// goroutine's stack is copied four times until it is large enough: a tenth of what a shared list costs.
type workers chan func()

// workerTime is how long a goroutine is kept without work.
const workerTime = time.Second

func newWorkers() workers { return make(workers) }

// do runs f, now, in a goroutine that has nothing to do, or in a new one.
func (w workers) do(f func()) {
	select {
	case w <- f:
	default:
		go w.run(f)
	}
}

func (w workers) run(f func()) {
	idle := time.NewTimer(workerTime)
	defer idle.Stop()
	for {
		f()
		idle.Reset(workerTime)
		select {
		case f = <-w:
		case <-idle.C:
			return
		}
	}
}
