package bus

// LoseAnswers makes b's connection deaf to JetStream's answers to appends.
func LoseAnswers(b Bus) error { return b.(*connection).acks.sub.Unsubscribe() }
