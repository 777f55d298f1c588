package projections

import "context"

// mend makes the checkpoints again that Restore found damaged: from the log,
// beginning with an older one.
func (p *Projection) mend(ctx context.Context) {
	for _, position := range p.damaged {
		if p.WaitFor(ctx, position) != nil {
			return // folding stopped
		}
		s, err := p.At(ctx, position)
		if err == nil {
			p.rewrite(ctx, s)
		} else if ctx.Err() == nil {
			p.logger.Error("a damaged checkpoint can't be made again", "position", position, "error", err)
		}
	}
}

// rewrite replaces a damaged checkpoint by the state that the log gives.
func (p *Projection) rewrite(ctx context.Context, s *Snapshot) {
	if p.checkpoints.ReadOnly {
		return
	}
	if err := writeCheckpoint(ctx, s, p.checkpoints.Blobs, p.signer); err != nil {
		p.logger.Error("a damaged checkpoint can't be made again", "position", s.Position(), "error", err)
		return
	}
	p.logger.Info("a damaged checkpoint was made again from the log", "position", s.Position())
}
