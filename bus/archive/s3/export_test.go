package s3

// SetRetries has requests sent so often only.
func SetRetries(n int) { retries = n }
