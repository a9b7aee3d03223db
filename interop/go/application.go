package main

import (
	"fmt"
	"net/http"

	"github.com/patrickcping/pingone-go-sdk-v2/management"
	"github.com/patrickcping/pingone-go-sdk-v2/mfa"
)

func nativeApplication(name string, redirectURIs ...string) *management.ApplicationOIDC {
	application := management.NewApplicationOIDC(
		true, name,
		management.ENUMAPPLICATIONPROTOCOL_OPENID_CONNECT,
		management.ENUMAPPLICATIONTYPE_NATIVE_APP,
		management.ENUMAPPLICATIONOIDCTOKENAUTHMETHOD_NONE,
	)
	application.SetGrantTypes([]management.EnumApplicationOIDCGrantType{
		management.ENUMAPPLICATIONOIDCGRANTTYPE_AUTHORIZATION_CODE,
		management.ENUMAPPLICATIONOIDCGRANTTYPE_REFRESH_TOKEN,
	})
	application.SetResponseTypes([]management.EnumApplicationOIDCResponseType{
		management.ENUMAPPLICATIONOIDCRESPONSETYPE_CODE,
	})
	application.SetRedirectUris(redirectURIs)
	application.SetPkceEnforcement(management.ENUMAPPLICATIONOIDCPKCEOPTION_S256_REQUIRED)
	mobile := management.NewApplicationOIDCAllOfMobile()
	mobile.SetBundleId("org.example.go")
	mobile.SetPackageName("org.example.go")
	application.SetMobile(*mobile)
	return application
}

func (s *session) application() string {
	api := s.management.ApplicationsApi
	return live(s, kind[*management.ApplicationOIDC]{
		name:    "a native application",
		made:    nativeApplication("Go app", "org.example.go://callback"),
		changed: nativeApplication("Go app 2", "org.example.go://callback", "https://go.example.org/callback"),
		create: func(sent *management.ApplicationOIDC) (any, *http.Response, error) {
			body := management.CreateApplicationRequest{ApplicationOIDC: sent}
			return api.CreateApplication(s.ctx, s.EnvironmentID).CreateApplicationRequest(body).Execute()
		},
		read: func(id string) (any, *http.Response, error) {
			return api.ReadOneApplication(s.ctx, s.EnvironmentID, id).Execute()
		},
		update: func(id string, sent *management.ApplicationOIDC) (any, *http.Response, error) {
			body := management.UpdateApplicationRequest{ApplicationOIDC: sent}
			return api.UpdateApplication(s.ctx, s.EnvironmentID, id).UpdateApplicationRequest(body).Execute()
		},
		list: func() ([]string, error) {
			pages := api.ReadAllApplications(s.ctx, s.EnvironmentID).Execute()
			return ids(managed(pages, (*management.EntityArrayEmbedded).GetApplications))
		},
		remove: func(id string) (*http.Response, error) {
			return api.DeleteApplication(s.ctx, s.EnvironmentID, id).Execute()
		},
	})
}

func (s *session) pushCredential(application string) string {
	api := s.mfa.ApplicationsApplicationMFAPushCredentialsApi
	apns := func(key string) mfa.MFAPushCredentialRequest {
		return mfa.MFAPushCredentialRequest{MFAPushCredentialAPNS: mfa.NewMFAPushCredentialAPNS(
			mfa.ENUMMFAPUSHCREDENTIALATTRTYPE_APNS, key, "TEAMID0001", s.APNSSigningKey,
		)}
	}
	return live(s, kind[mfa.MFAPushCredentialRequest]{
		name:    "a push credential",
		made:    apns("KEYID00001"),
		changed: apns("KEYID00002"),
		create: func(sent mfa.MFAPushCredentialRequest) (any, *http.Response, error) {
			return api.CreateMFAPushCredential(s.ctx, s.EnvironmentID, application).MFAPushCredentialRequest(sent).Execute()
		},
		read: func(id string) (any, *http.Response, error) {
			return api.ReadOneMFAPushCredential(s.ctx, s.EnvironmentID, application, id).Execute()
		},
		update: func(id string, sent mfa.MFAPushCredentialRequest) (any, *http.Response, error) {
			return api.UpdateMFAPushCredential(s.ctx, s.EnvironmentID, application, id).MFAPushCredentialRequest(sent).Execute()
		},
		list: func() ([]string, error) {
			pages := api.ReadAllMFAPushCredentials(s.ctx, s.EnvironmentID, application).Execute()
			return ids(authenticating(pages, (*mfa.EntityArrayEmbedded).GetPushCredentials))
		},
		remove: func(id string) (*http.Response, error) {
			return api.DeleteMFAPushCredential(s.ctx, s.EnvironmentID, application, id).Execute()
		},
		writeOnly: []string{"key", "teamId", "token"},
	})
}

func (s *session) roleAssignment(application, role string) string {
	api := s.management.ApplicationRoleAssignmentsApi
	scope := management.NewRoleAssignmentScope(s.EnvironmentID, management.ENUMROLEASSIGNMENTSCOPETYPE_ENVIRONMENT)
	return live(s, kind[management.RoleAssignment]{
		name: "a role assignment",
		made: *management.NewRoleAssignment(*management.NewRoleAssignmentRole(role), *scope),
		create: func(sent management.RoleAssignment) (any, *http.Response, error) {
			return api.CreateApplicationRoleAssignment(s.ctx, s.EnvironmentID, application).RoleAssignment(sent).Execute()
		},
		read: func(id string) (any, *http.Response, error) {
			return api.ReadOneApplicationRoleAssignment(s.ctx, s.EnvironmentID, application, id).Execute()
		},
		list: func() ([]string, error) {
			pages := api.ReadApplicationRoleAssignments(s.ctx, s.EnvironmentID, application).Execute()
			return ids(managed(pages, (*management.EntityArrayEmbedded).GetRoleAssignments))
		},
		remove: func(id string) (*http.Response, error) {
			return api.DeleteApplicationRoleAssignment(s.ctx, s.EnvironmentID, application, id).Execute()
		},
	})
}

// role is the id of the role with a name.
func (s *session) role(name management.EnumRoleName) (string, error) {
	pages := s.management.RolesApi.ReadAllRoles(s.ctx).Execute()
	roles, err := managed(pages, (*management.EntityArrayEmbedded).GetRoles)
	if err != nil {
		return "", told(err, nil)
	}
	for _, role := range roles {
		if role.Role != nil && role.Role.GetName() == name {
			return role.Role.GetId(), nil
		}
	}
	return "", fmt.Errorf("%q is not among the %d roles", name, len(roles))
}

func (s *session) attributeMapping(application string) string {
	api := s.management.ApplicationAttributeMappingApi
	mapping := func(value string, required bool) management.ApplicationAttributeMapping {
		return *management.NewApplicationAttributeMapping("nickname", required, value)
	}
	return live(s, kind[management.ApplicationAttributeMapping]{
		name:    "an attribute mapping",
		made:    mapping("${user.nickname}", false),
		changed: mapping("${user.name.given}", true),
		create: func(sent management.ApplicationAttributeMapping) (any, *http.Response, error) {
			return api.CreateApplicationAttributeMapping(s.ctx, s.EnvironmentID, application).ApplicationAttributeMapping(sent).Execute()
		},
		read: func(id string) (any, *http.Response, error) {
			return api.ReadOneApplicationAttributeMapping(s.ctx, s.EnvironmentID, application, id).Execute()
		},
		update: func(id string, sent management.ApplicationAttributeMapping) (any, *http.Response, error) {
			return api.UpdateApplicationAttributeMapping(s.ctx, s.EnvironmentID, application, id).ApplicationAttributeMapping(sent).Execute()
		},
		list: func() ([]string, error) {
			pages := api.ReadAllApplicationAttributeMappings(s.ctx, s.EnvironmentID, application).Execute()
			return ids(managed(pages, (*management.EntityArrayEmbedded).GetAttributes))
		},
		remove: func(id string) (*http.Response, error) {
			return api.DeleteApplicationAttributeMapping(s.ctx, s.EnvironmentID, application, id).Execute()
		},
	})
}
