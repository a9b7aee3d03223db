package main

import (
	"net/http"

	"github.com/patrickcping/pingone-go-sdk-v2/management"
)

func (s *session) resource() string {
	api := s.management.ResourcesApi
	resource := func(name, audience string, seconds int32) management.Resource {
		resource := management.NewResource(name)
		resource.SetAudience(audience)
		resource.SetAccessTokenValiditySeconds(seconds)
		return *resource
	}
	return live(s, kind[management.Resource]{
		name:    "a resource",
		made:    resource("Go payments", "https://go.example.org/1", 600),
		changed: resource("Go payments 2", "https://go.example.org/2", 900),
		create: func(sent management.Resource) (any, *http.Response, error) {
			return api.CreateResource(s.ctx, s.EnvironmentID).Resource(sent).Execute()
		},
		read: func(id string) (any, *http.Response, error) {
			return api.ReadOneResource(s.ctx, s.EnvironmentID, id).Execute()
		},
		update: func(id string, sent management.Resource) (any, *http.Response, error) {
			return api.UpdateResource(s.ctx, s.EnvironmentID, id).Resource(sent).Execute()
		},
		list: func() ([]string, error) {
			pages := api.ReadAllResources(s.ctx, s.EnvironmentID).Execute()
			return ids(managed(pages, (*management.EntityArrayEmbedded).GetResources))
		},
		remove: func(id string) (*http.Response, error) {
			return api.DeleteResource(s.ctx, s.EnvironmentID, id).Execute()
		},
	})
}

func (s *session) scope(resource string) string {
	api := s.management.ResourceScopesApi
	scope := func(name, description string) management.ResourceScope {
		scope := management.NewResourceScope(name)
		scope.SetDescription(description)
		return *scope
	}
	return live(s, kind[management.ResourceScope]{
		name:    "a scope",
		made:    scope("go:pay", "Pay"),
		changed: scope("go:transfer", "Transfer"),
		create: func(sent management.ResourceScope) (any, *http.Response, error) {
			return api.CreateResourceScope(s.ctx, s.EnvironmentID, resource).ResourceScope(sent).Execute()
		},
		read: func(id string) (any, *http.Response, error) {
			return api.ReadOneResourceScope(s.ctx, s.EnvironmentID, resource, id).Execute()
		},
		update: func(id string, sent management.ResourceScope) (any, *http.Response, error) {
			return api.UpdateResourceScope(s.ctx, s.EnvironmentID, resource, id).ResourceScope(sent).Execute()
		},
		list: func() ([]string, error) {
			pages := api.ReadAllResourceScopes(s.ctx, s.EnvironmentID, resource).Execute()
			return ids(managed(pages, (*management.EntityArrayEmbedded).GetScopes))
		},
		remove: func(id string) (*http.Response, error) {
			return api.DeleteResourceScope(s.ctx, s.EnvironmentID, resource, id).Execute()
		},
	})
}

func (s *session) resourceAttribute(resource string) string {
	api := s.management.ResourceAttributesApi
	return live(s, kind[management.ResourceAttribute]{
		name:    "an attribute of a resource",
		made:    *management.NewResourceAttribute("go_branch", "${user.title}"),
		changed: *management.NewResourceAttribute("go_office", "${user.nickname}"),
		create: func(sent management.ResourceAttribute) (any, *http.Response, error) {
			return api.CreateResourceAttribute(s.ctx, s.EnvironmentID, resource).ResourceAttribute(sent).Execute()
		},
		read: func(id string) (any, *http.Response, error) {
			return api.ReadOneResourceAttribute(s.ctx, s.EnvironmentID, resource, id).Execute()
		},
		update: func(id string, sent management.ResourceAttribute) (any, *http.Response, error) {
			return api.UpdateResourceAttribute(s.ctx, s.EnvironmentID, resource, id).ResourceAttribute(sent).Execute()
		},
		list: func() ([]string, error) {
			pages := api.ReadAllResourceAttributes(s.ctx, s.EnvironmentID, resource).Execute()
			return ids(managed(pages, (*management.EntityArrayEmbedded).GetAttributes))
		},
		remove: func(id string) (*http.Response, error) {
			return api.DeleteResourceAttribute(s.ctx, s.EnvironmentID, resource, id).Execute()
		},
	})
}

func (s *session) grant(application, resource, scope string) string {
	api := s.management.ApplicationResourceGrantsApi
	scopes := []management.ApplicationResourceGrantScopesInner{*management.NewApplicationResourceGrantScopesInner(scope)}
	of := management.NewApplicationResourceGrantResource(resource)
	return live(s, kind[management.ApplicationResourceGrant]{
		name: "a grant",
		made: *management.NewApplicationResourceGrant(*of, scopes),
		create: func(sent management.ApplicationResourceGrant) (any, *http.Response, error) {
			return api.CreateApplicationGrant(s.ctx, s.EnvironmentID, application).ApplicationResourceGrant(sent).Execute()
		},
		read: func(id string) (any, *http.Response, error) {
			return api.ReadOneApplicationGrant(s.ctx, s.EnvironmentID, application, id).Execute()
		},
		list: func() ([]string, error) {
			pages := api.ReadAllApplicationGrants(s.ctx, s.EnvironmentID, application).Execute()
			return ids(managed(pages, (*management.EntityArrayEmbedded).GetGrants))
		},
		remove: func(id string) (*http.Response, error) {
			return api.DeleteApplicationGrant(s.ctx, s.EnvironmentID, application, id).Execute()
		},
	})
}
