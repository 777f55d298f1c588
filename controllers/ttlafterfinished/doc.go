// Package ttlafterfinished deletes a Job, its pods first, when
// spec.ttlSecondsAfterFinished have passed since it ended.
//
//  1. A Job is never deleted before that time, and one without the field never.
//  2. The deletion holds only for the version of the Job that was looked at: who
//     changes the field a moment before keeps the Job.
package ttlafterfinished
