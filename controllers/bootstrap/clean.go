package bootstrap

import (
	"context"
	"fmt"

	"k8s.io/cluster-bootstrap/util/secrets"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// NewTokenCleaner makes the controller that deletes tokens that have expired.
func NewTokenCleaner(open Open) *controllers.Controller {
	return controllers.New("token-cleaner").
		Watches("", "secrets", func(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
			if tokenOf(c.New) != nil {
				add(c.New.Key)
			}
		}).
		Reconcile(func(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
			o := s.Get(key)
			sealed := tokenOf(o)
			if sealed == nil || sealed.DeletionTimestamp != nil {
				return controllers.Result{}, nil
			}
			token, err := open(sealed)
			if err != nil {
				return controllers.Result{}, fmt.Errorf("open %s: %w", key, err)
			}
			left, expired := secrets.GetExpiration(token, controllers.Now(ctx))
			if expired {
				return controllers.Do(controllers.Delete(o)), nil
			}
			return controllers.Result{RequeueAfter: left}, nil
		})
}
