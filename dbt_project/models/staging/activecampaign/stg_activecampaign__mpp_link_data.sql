{{ link_openings("mpp_link_data") }}
