package main

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/patrickcping/pingone-go-sdk-v2/management"
)

func (s *session) population() string {
	api := s.management.PopulationsApi
	population := func(name, description string) management.Population {
		population := management.NewPopulation(name)
		population.SetDescription(description)
		return *population
	}
	return live(s, kind[management.Population]{
		name:    "a population",
		made:    population("Go staff", "Who works here"),
		changed: population("Go guests", "Who visits"),
		create: func(sent management.Population) (any, *http.Response, error) {
			return api.CreatePopulation(s.ctx, s.EnvironmentID).Population(sent).Execute()
		},
		read: func(id string) (any, *http.Response, error) {
			return api.ReadOnePopulation(s.ctx, s.EnvironmentID, id).Execute()
		},
		update: func(id string, sent management.Population) (any, *http.Response, error) {
			return api.UpdatePopulation(s.ctx, s.EnvironmentID, id).Population(sent).Execute()
		},
		list: func() ([]string, error) {
			pages := api.ReadAllPopulations(s.ctx, s.EnvironmentID).Execute()
			return ids(managed(pages, (*management.EntityArrayEmbedded).GetPopulations))
		},
		remove: func(id string) (*http.Response, error) {
			return api.DeletePopulation(s.ctx, s.EnvironmentID, id).Execute()
		},
	})
}

func (s *session) group(population string) string {
	api := s.management.GroupsApi
	group := func(name, externalID string) management.Group {
		group := management.NewGroup(name)
		group.SetExternalId(externalID)
		group.SetPopulation(*management.NewGroupPopulation(population))
		return *group
	}
	return live(s, kind[management.Group]{
		name:    "a group",
		made:    group("Go approvers", "g-1"),
		changed: group("Go auditors", "g-2"),
		create: func(sent management.Group) (any, *http.Response, error) {
			return api.CreateGroup(s.ctx, s.EnvironmentID).Group(sent).Execute()
		},
		read: func(id string) (any, *http.Response, error) {
			return api.ReadOneGroup(s.ctx, s.EnvironmentID, id).Execute()
		},
		update: func(id string, sent management.Group) (any, *http.Response, error) {
			return api.UpdateGroup(s.ctx, s.EnvironmentID, id).Group(sent).Execute()
		},
		list: func() ([]string, error) {
			pages := api.ReadAllGroups(s.ctx, s.EnvironmentID).Execute()
			return ids(managed(pages, (*management.EntityArrayEmbedded).GetGroups))
		},
		remove: func(id string) (*http.Response, error) {
			return api.DeleteGroup(s.ctx, s.EnvironmentID, id).Execute()
		},
	})
}

func (s *session) user(population string) string {
	api := s.management.UsersApi
	user := func(given, nickname string) management.User {
		user := management.NewUser("grace@example.org", "grace")
		name := management.NewUserName()
		name.SetGiven(given)
		name.SetFamily("Hopper")
		user.SetName(*name)
		user.SetNickname(nickname)
		user.SetPopulation(*management.NewUserPopulation(population))
		return *user
	}
	return live(s, kind[management.User]{
		name:    "a user",
		made:    user("Grace", "Amazing Grace"),
		changed: user("Grace Brewster", "Grandma COBOL"),
		create: func(sent management.User) (any, *http.Response, error) {
			return api.CreateUser(s.ctx, s.EnvironmentID).ContentType("application/json").User(sent).Execute()
		},
		read: func(id string) (any, *http.Response, error) {
			return api.ReadUser(s.ctx, s.EnvironmentID, id).Execute()
		},
		update: func(id string, sent management.User) (any, *http.Response, error) {
			return api.UpdateUserPut(s.ctx, s.EnvironmentID, id).User(sent).Execute()
		},
		list: func() ([]string, error) {
			pages := api.ReadAllUsers(s.ctx, s.EnvironmentID).Filter(`username eq "grace"`).Execute()
			return ids(managed(pages, (*management.EntityArrayEmbedded).GetUsers))
		},
		remove: func(id string) (*http.Response, error) {
			return api.DeleteUser(s.ctx, s.EnvironmentID, id).Execute()
		},
	})
}

// pairingKey lets a phone be paired to a user. The client has no model of it: the answer is read as it is.
func (s *session) pairingKey(user, application, policy string) string {
	api := s.mfa.UserMFAPairingKeysApi
	sent := map[string]any{
		"applications": []any{map[string]any{"id": application}},
		"policy":       map[string]any{"id": policy},
	}
	answer := func(response *http.Response, err error) (any, *http.Response, error) {
		if err != nil {
			return nil, response, err
		}
		var body map[string]any
		err = json.NewDecoder(response.Body).Decode(&body)
		return body, response, err
	}
	return live(s, kind[map[string]any]{
		name: "a pairing key",
		made: sent,
		create: func(sent map[string]any) (any, *http.Response, error) {
			return answer(api.EnvironmentsEnvironmentIDUsersUserIDPairingKeysPost(s.ctx, s.EnvironmentID, user).Body(sent).Execute())
		},
		read: func(id string) (any, *http.Response, error) {
			return answer(api.EnvironmentsEnvironmentIDUsersUserIDPairingKeysPairingKeyIDGet(s.ctx, s.EnvironmentID, user, id).Execute())
		},
		remove: func(id string) (*http.Response, error) {
			return api.EnvironmentsEnvironmentIDUsersUserIDPairingKeysPairingKeyIDDelete(s.ctx, s.EnvironmentID, user, id).Execute()
		},
	})
}

// usersComeByPages makes a few more users, and finds each of them once although a page has one.
func (s *session) usersComeByPages(population string) error {
	api := s.management.UsersApi
	left := map[string]int{"grace": 1}
	for _, name := range []string{"page-1", "page-2", "page-3"} {
		user := management.NewUser(name+"@example.org", name)
		user.SetPopulation(*management.NewUserPopulation(population))
		call := api.CreateUser(s.ctx, s.EnvironmentID).ContentType("application/json").User(*user)
		made, response, err := call.Execute()
		if err != nil {
			return told(err, response)
		}
		left[name] = 1
		s.undo = append(s.undo, step{"the user " + name + " is removed", func() error {
			response, err := api.DeleteUser(s.ctx, s.EnvironmentID, made.GetId()).Execute()
			return told(err, response)
		}})
	}
	filter := fmt.Sprintf("population.id eq %q", population)
	pages := api.ReadAllUsers(s.ctx, s.EnvironmentID).Filter(filter).Limit(1).Execute()
	users, err := managed(pages, (*management.EntityArrayEmbedded).GetUsers)
	if err != nil {
		return told(err, nil)
	}
	for _, user := range users {
		left[user.GetUsername()]--
	}
	for name, times := range left {
		if times != 0 {
			return fmt.Errorf("%s came %d times", name, 1-times)
		}
	}
	return nil
}
