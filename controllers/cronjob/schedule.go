package cronjob

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // spec.timeZone holds on machines without a zone database, too

	"github.com/robfig/cron/v3"
	batchv1 "k8s.io/api/batch/v1"
)

// tooMany is how many missed times are worth a warning.
const tooMany = 100

// skew is how long after its time a Job is looked for, so that clocks may differ.
const skew = 100 * time.Millisecond

// parse reads a CronJob's schedule in its time zone.
func parse(c *batchv1.CronJob) (s cron.Schedule, err error) {
	defer func() {
		if p := recover(); p != nil { // the library does on some broken zones
			err = fmt.Errorf("%v", p)
		}
	}()
	return cron.ParseStandard(zoned(c))
}

func zoned(c *batchv1.CronJob) string {
	if c.Spec.TimeZone == nil || ownZone(c) {
		return c.Spec.Schedule
	}
	return "TZ=" + *c.Spec.TimeZone + " " + c.Spec.Schedule
}

// ownZone: the schedule names a time zone itself.
func ownZone(c *batchv1.CronJob) bool { return strings.Contains(c.Spec.Schedule, "TZ") }

// due says which time is to be served.
type due struct {
	at     time.Time // the last one that isn't served, zero if there is none
	missed int64     // how many there are, about
}

// dueSince finds the last time of a schedule after since and not after now.
func dueSince(s cron.Schedule, since, now time.Time) (due, error) {
	first := s.Next(since)
	if now.Before(first) {
		return due{}, nil
	}
	second := s.Next(first)
	if now.Before(second) {
		return due{first, 1}, nil
	}
	// How often it comes is guessed from the first two times.
	every := second.Sub(first).Round(time.Second)
	if every < time.Second {
		return due{}, fmt.Errorf("time difference between two schedules is less than 1 second")
	}
	n := int64(now.Sub(first)/every) + 1
	last := time.Time{}
	for t := s.Next(first.Add(time.Duration(n-2) * every)); !t.After(now); t = s.Next(t) {
		last = t
	}
	return due{last, n}, nil
}

// since is when a CronJob's unserved times begin: after the last one, or when it
// was created or its schedule was changed.
func since(c *batchv1.CronJob, changed time.Time) time.Time {
	t := c.CreationTimestamp.Time
	if last := c.Status.LastScheduleTime; last != nil {
		t = last.Time
	}
	if changed.After(t) {
		t = changed
	}
	return t
}

// untilNext is how long it is to the next time that isn't there yet. It is counted
// from the times before it: "@every 5m" means so long after the last.
func untilNext(s cron.Schedule, since, now time.Time) time.Duration {
	if d, err := dueSince(s, since, now); err != nil {
		since = now
	} else if !d.at.IsZero() {
		since = d.at
	}
	return s.Next(since).Add(skew).Sub(now)
}
