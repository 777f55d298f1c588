package revision_test

// What Kubernetes 1.37 computes for template("web:1").
const (
	wantData         = `{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"args":["\u003ca\u0026b\u003e"],"image":"web:1","name":"c","resources":{"requests":{"cpu":"100m"}}}],"securityContext":{"runAsUser":65534}}}}}`
	wantName         = "web-58b965f67b"
	wantNameCollided = "web-58b965f67c"
)

var wantTemplateHashes = []string{"f64659b94", "fb579d6c9"}
