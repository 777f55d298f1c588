package builtin

import (
	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/attachdetach"
	"github.com/reckon-project/reckon/controllers/ephemeralvolume"
	"github.com/reckon-project/reckon/controllers/localpath"
	"github.com/reckon-project/reckon/controllers/volumebinding"
	"github.com/reckon-project/reckon/controllers/volumeexpand"
	"github.com/reckon-project/reckon/controllers/volumeprotection"
)

// storage are the controllers of volumes and claims.
func storage() []*controllers.Controller {
	return []*controllers.Controller{
		volumebinding.New(),
		volumeprotection.NewClaims(),
		volumeprotection.NewVolumes(),
		volumeprotection.NewAttributesClasses(),
		volumeexpand.New(),
		ephemeralvolume.New(),
		attachdetach.New(),
		localpath.New(),
		localpath.NewClass(),
	}
}
