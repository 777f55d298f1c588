// Package cronjob makes Jobs at the times that a CronJob's schedule names, and
// keeps the CronJob's status and the history of its Jobs.
//
//  1. A Job's name is the CronJob's and the minute that it is for, so that no time
//     is served twice, whoever leads.
//  2. status.active and lastScheduleTime follow from the Jobs that are there. A
//     Job that was made before its maker stopped is found again by its name.
//  3. Of several times that were missed only the last is made up for, and only if
//     spec.startingDeadlineSeconds allows it. A changed schedule begins to count when it
//     was changed, as long as this process leads.
//  4. It looks at a CronJob when a time has come, when it is changed, and when one of
//     its Jobs comes, ends or goes; never in between.
//
// What it refuses to do it tells by an event that changes nothing (MissSchedule,
// JobAlreadyActive, UnparseableSchedule, ...). Time zones come with the program.
package cronjob
