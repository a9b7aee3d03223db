package main

import (
	"net/http"

	"github.com/patrickcping/pingone-go-sdk-v2/management"
	"github.com/patrickcping/pingone-go-sdk-v2/mfa"
)

// mfaPolicy is a policy that has the app alone as a factor.
func mfaPolicy(application string, deviceAuthorization bool, pushSeconds int32) *mfa.DeviceAuthenticationPolicy {
	coolDown := mfa.NewDeviceAuthenticationPolicyOfflineDeviceOtpFailureCoolDown(2, mfa.ENUMTIMEUNIT_MINUTES)
	failure := *mfa.NewDeviceAuthenticationPolicyOfflineDeviceOtpFailure(3, *coolDown)
	lifeTime := mfa.NewDeviceAuthenticationPolicyOfflineDeviceOtpLifeTime(30, mfa.ENUMTIMEUNIT_MINUTES)
	off := *mfa.NewDeviceAuthenticationPolicyOfflineDevice(
		false, *mfa.NewDeviceAuthenticationPolicyOfflineDeviceOtp(*lifeTime, failure),
	)
	mobile := mfa.NewDeviceAuthenticationPolicyCommonMobile(
		true, *mfa.NewDeviceAuthenticationPolicyCommonMobileOtp(failure),
	)
	app := mfa.NewDeviceAuthenticationPolicyCommonMobileApplicationsInner(application)
	app.SetAutoEnrollment(*mfa.NewDeviceAuthenticationPolicyCommonMobileApplicationsInnerAutoEnrollment(true))
	authorization := mfa.NewDeviceAuthenticationPolicyCommonMobileApplicationsInnerDeviceAuthorization(deviceAuthorization)
	authorization.SetExtraVerification(mfa.ENUMMFADEVICEPOLICYMOBILEEXTRAVERIFICATION_PERMISSIVE)
	app.SetDeviceAuthorization(*authorization)
	app.SetPush(*mfa.NewDeviceAuthenticationPolicyCommonMobileApplicationsInnerPush(true))
	app.SetPushTimeout(*mfa.NewDeviceAuthenticationPolicyCommonMobileApplicationsInnerPushTimeout(
		pushSeconds, mfa.ENUMTIMEUNITPUSHTIMEOUT_SECONDS,
	))
	mobile.SetApplications([]mfa.DeviceAuthenticationPolicyCommonMobileApplicationsInner{*app})
	totp := mfa.NewDeviceAuthenticationPolicyCommonTotp(
		false, *mfa.NewDeviceAuthenticationPolicyPingIDDeviceOtp(failure),
	)
	return mfa.NewDeviceAuthenticationPolicy("Go policy", off, off, off, *mobile, *totp, false, false)
}

func (s *session) deviceAuthenticationPolicy(application string) string {
	api := s.mfa.DeviceAuthenticationPolicyApi
	return live(s, kind[*mfa.DeviceAuthenticationPolicy]{
		name:    "an MFA policy",
		made:    mfaPolicy(application, true, 40),
		changed: mfaPolicy(application, false, 60),
		create: func(sent *mfa.DeviceAuthenticationPolicy) (any, *http.Response, error) {
			body := mfa.DeviceAuthenticationPolicyPost{DeviceAuthenticationPolicy: sent}
			call := api.CreateDeviceAuthenticationPolicies(s.ctx, s.EnvironmentID)
			return call.DeviceAuthenticationPolicyPost(body).Execute()
		},
		read: func(id string) (any, *http.Response, error) {
			return api.ReadOneDeviceAuthenticationPolicy(s.ctx, s.EnvironmentID, id).Execute()
		},
		update: func(id string, sent *mfa.DeviceAuthenticationPolicy) (any, *http.Response, error) {
			call := api.UpdateDeviceAuthenticationPolicy(s.ctx, s.EnvironmentID, id)
			return call.DeviceAuthenticationPolicy(*sent).Execute()
		},
		list: func() ([]string, error) {
			pages := api.ReadDeviceAuthenticationPolicies(s.ctx, s.EnvironmentID).Execute()
			return ids(authenticating(pages, (*mfa.EntityArrayEmbedded).GetDeviceAuthenticationPolicies))
		},
		remove: func(id string) (*http.Response, error) {
			return api.DeleteDeviceAuthenticationPolicy(s.ctx, s.EnvironmentID, id).Execute()
		},
	})
}

func (s *session) signOnPolicy() string {
	api := s.management.SignOnPoliciesApi
	policy := func(name, description string) management.SignOnPolicy {
		policy := management.NewSignOnPolicy(name)
		policy.SetDescription(description)
		return *policy
	}
	return live(s, kind[management.SignOnPolicy]{
		name:    "a sign-on policy",
		made:    policy("Go-policy", "Password, then app"),
		changed: policy("Go-policy-2", "Password and app"),
		create: func(sent management.SignOnPolicy) (any, *http.Response, error) {
			return api.CreateSignOnPolicy(s.ctx, s.EnvironmentID).SignOnPolicy(sent).Execute()
		},
		read: func(id string) (any, *http.Response, error) {
			return api.ReadOneSignOnPolicy(s.ctx, s.EnvironmentID, id).Execute()
		},
		update: func(id string, sent management.SignOnPolicy) (any, *http.Response, error) {
			return api.UpdateSignOnPolicy(s.ctx, s.EnvironmentID, id).SignOnPolicy(sent).Execute()
		},
		list: func() ([]string, error) {
			pages := api.ReadAllSignOnPolicies(s.ctx, s.EnvironmentID).Execute()
			return ids(managed(pages, (*management.EntityArrayEmbedded).GetSignOnPolicies))
		},
		remove: func(id string) (*http.Response, error) {
			return api.DeleteSignOnPolicy(s.ctx, s.EnvironmentID, id).Execute()
		},
	})
}

func (s *session) signOnPolicyAction(signOnPolicy, deviceAuthenticationPolicy string) string {
	api := s.management.SignOnPolicyActionsApi
	action := func(mode management.EnumSignOnPolicyNoDeviceMode) management.SignOnPolicyAction {
		action := management.NewSignOnPolicyActionMFA(2, management.ENUMSIGNONPOLICYTYPE_MULTI_FACTOR_AUTHENTICATION)
		policy := management.NewSignOnPolicyActionMFAAllOfDeviceAuthenticationPolicy(deviceAuthenticationPolicy)
		action.SetDeviceAuthenticationPolicy(*policy)
		action.SetNoDevicesMode(mode)
		return management.SignOnPolicyAction{SignOnPolicyActionMFA: action}
	}
	return live(s, kind[management.SignOnPolicyAction]{
		name:    "an action with MFA",
		made:    action(management.ENUMSIGNONPOLICYNODEVICEMODE_BYPASS),
		changed: action(management.ENUMSIGNONPOLICYNODEVICEMODE_BLOCK),
		create: func(sent management.SignOnPolicyAction) (any, *http.Response, error) {
			return api.CreateSignOnPolicyAction(s.ctx, s.EnvironmentID, signOnPolicy).SignOnPolicyAction(sent).Execute()
		},
		read: func(id string) (any, *http.Response, error) {
			return api.ReadOneSignOnPolicyAction(s.ctx, s.EnvironmentID, signOnPolicy, id).Execute()
		},
		update: func(id string, sent management.SignOnPolicyAction) (any, *http.Response, error) {
			return api.UpdateSignOnPolicyAction(s.ctx, s.EnvironmentID, signOnPolicy, id).SignOnPolicyAction(sent).Execute()
		},
		list: func() ([]string, error) {
			pages := api.ReadAllSignOnPolicyActions(s.ctx, s.EnvironmentID, signOnPolicy).Execute()
			return ids(managed(pages, (*management.EntityArrayEmbedded).GetActions))
		},
		remove: func(id string) (*http.Response, error) {
			return api.DeleteSignOnPolicyAction(s.ctx, s.EnvironmentID, signOnPolicy, id).Execute()
		},
	})
}

// passwordAction is the first action of the policy, which an action with MFA follows.
func (s *session) passwordAction(signOnPolicy string) error {
	login := management.NewSignOnPolicyActionLogin(1, management.ENUMSIGNONPOLICYTYPE_LOGIN)
	login.SetRecovery(*management.NewSignOnPolicyActionLoginAllOfRecovery(false))
	action := management.SignOnPolicyAction{SignOnPolicyActionLogin: login}
	api := s.management.SignOnPolicyActionsApi
	call := api.CreateSignOnPolicyAction(s.ctx, s.EnvironmentID, signOnPolicy)
	made, response, err := call.SignOnPolicyAction(action).Execute()
	return first(told(err, response), func() error { return differs("", members(action), members(made)) })
}

func (s *session) signOnPolicyAssignment(application, signOnPolicy string) string {
	api := s.management.ApplicationSignOnPolicyAssignmentsApi
	assignment := func(priority int32) management.SignOnPolicyAssignment {
		policy := management.NewSignOnPolicyActionCommonSignOnPolicy(signOnPolicy)
		return *management.NewSignOnPolicyAssignment(priority, *policy)
	}
	return live(s, kind[management.SignOnPolicyAssignment]{
		name:    "an assignment of a policy",
		made:    assignment(1),
		changed: assignment(2),
		create: func(sent management.SignOnPolicyAssignment) (any, *http.Response, error) {
			return api.CreateSignOnPolicyAssignment(s.ctx, s.EnvironmentID, application).SignOnPolicyAssignment(sent).Execute()
		},
		read: func(id string) (any, *http.Response, error) {
			return api.ReadOneSignOnPolicyAssignment(s.ctx, s.EnvironmentID, application, id).Execute()
		},
		update: func(id string, sent management.SignOnPolicyAssignment) (any, *http.Response, error) {
			return api.UpdateSignOnPolicyAssignment(s.ctx, s.EnvironmentID, application, id).SignOnPolicyAssignment(sent).Execute()
		},
		list: func() ([]string, error) {
			pages := api.ReadAllSignOnPolicyAssignments(s.ctx, s.EnvironmentID, application).Execute()
			return ids(managed(pages, (*management.EntityArrayEmbedded).GetSignOnPolicyAssignments))
		},
		remove: func(id string) (*http.Response, error) {
			return api.DeleteSignOnPolicyAssignment(s.ctx, s.EnvironmentID, application, id).Execute()
		},
	})
}

func (s *session) mfaSettings() error {
	api := s.mfa.MFASettingsApi
	pairing := mfa.NewMFASettingsPairing(7, mfa.ENUMMFASETTINGSPAIRINGKEYFORMAT_ALPHANUMERIC)
	settings := mfa.NewMFASettings(*pairing)
	call := api.UpdateMFASettings(s.ctx, s.EnvironmentID)
	if _, response, err := call.MFASettings(*settings).Execute(); err != nil {
		return told(err, response)
	}
	read, response, err := api.ReadMFASettings(s.ctx, s.EnvironmentID).Execute()
	if err != nil {
		return told(err, response)
	}
	if err := differs("", members(settings), members(read)); err != nil {
		return err
	}
	_, response, err = api.ResetMFASettings(s.ctx, s.EnvironmentID).Execute()
	return told(err, response)
}
