// Manages an environment as the Go client of PingOne does it, on the server that the facts on standard input describe, and tells
// of each kind of object on a line of its own.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/patrickcping/pingone-go-sdk-v2/management"
	"github.com/patrickcping/pingone-go-sdk-v2/mfa"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// facts has the names of the variables in ../terraform.
type facts struct {
	AuthHostname            string `json:"auth_hostname"`
	APIHostname             string `json:"api_hostname"`
	EnvironmentID           string `json:"environment_id"`
	WorkerClientID          string `json:"worker_client_id"`
	WorkerClientSecret      string `json:"worker_client_secret"`
	GoogleServiceAccountKey string `json:"google_service_account_key"`
	APNSSigningKey          string `json:"apns_signing_key"`
}

// session is a worker of the environment at work.
type session struct {
	facts
	ctx        context.Context
	management *management.APIClient
	mfa        *mfa.APIClient
	// What undoes what was made, the last one first.
	undo   []step
	failed bool
}

type step struct {
	name string
	run  func() error
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var given facts
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		fmt.Println("not ok - the facts:", err)
		os.Exit(2)
	}
	s, err := open(ctx, given)
	if err != nil {
		fmt.Println("not ok - the clients:", err)
		os.Exit(2)
	}
	s.walk()
	for i := len(s.undo) - 1; i >= 0; i-- {
		s.tell(s.undo[i].name, s.undo[i].run())
	}
	if s.failed {
		os.Exit(1)
	}
}

func open(ctx context.Context, given facts) (*session, error) {
	client := worker(ctx, given)
	forManagement := management.NewConfiguration()
	forManagement.HTTPClient = client
	forManagement.SetDefaultServerIndex(1)
	if err := forManagement.SetDefaultServerVariableDefaultValue("baseHostname", given.APIHostname); err != nil {
		return nil, err
	}
	forMFA := mfa.NewConfiguration()
	forMFA.HTTPClient = client
	forMFA.SetDefaultServerIndex(1)
	if err := forMFA.SetDefaultServerVariableDefaultValue("baseHostname", given.APIHostname); err != nil {
		return nil, err
	}
	return &session{
		facts:      given,
		ctx:        ctx,
		management: management.NewAPIClient(forManagement),
		mfa:        mfa.NewAPIClient(forMFA),
	}, nil
}

// worker is a client that asks for a token when it needs one.
func worker(ctx context.Context, given facts) *http.Client {
	config := clientcredentials.Config{
		ClientID:     given.WorkerClientID,
		ClientSecret: given.WorkerClientSecret,
		TokenURL:     fmt.Sprintf("https://%s/%s/as/token", given.AuthHostname, given.EnvironmentID),
		AuthStyle:    oauth2.AuthStyleAutoDetect,
	}
	return config.Client(ctx)
}

func (s *session) tell(name string, err error) {
	if err == nil {
		fmt.Println("ok -", name)
		return
	}
	s.failed = true
	fmt.Printf("not ok - %s: %s\n", name, err)
}

// walk lives through each kind of object, those first that others name.
func (s *session) walk() {
	s.tell("the environment is read", s.environment())
	population := s.population()
	s.group(population)
	user := s.user(population)
	s.tell("users come by pages", s.usersComeByPages(population))
	application := s.application()
	role, err := s.role(management.ENUMROLENAME_IDENTITY_DATA_ADMIN)
	s.tell("a role is found by its name", err)
	s.roleAssignment(s.WorkerClientID, role)
	s.pushCredential(application)
	s.attributeMapping(application)
	deviceAuthenticationPolicy := s.deviceAuthenticationPolicy(application)
	s.pairingKey(user, application, deviceAuthenticationPolicy)
	signOnPolicy := s.signOnPolicy()
	s.tell("an action with a password is made", s.passwordAction(signOnPolicy))
	s.signOnPolicyAction(signOnPolicy, deviceAuthenticationPolicy)
	s.signOnPolicyAssignment(application, signOnPolicy)
	resource := s.resource()
	s.resourceAttribute(resource)
	s.grant(application, resource, s.scope(resource))
	s.subscription()
	s.tell("the MFA settings are changed and reset", s.mfaSettings())
}

func (s *session) environment() error {
	environment, response, err := s.management.EnvironmentsApi.ReadOneEnvironment(s.ctx, s.EnvironmentID).Execute()
	if err != nil {
		return told(err, response)
	}
	if environment.GetId() != s.EnvironmentID {
		return fmt.Errorf("it is %s", environment.GetId())
	}
	return nil
}
